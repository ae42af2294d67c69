"""PLY, of which only the vertices are read: whatever their properties, in the precision in which they are stored."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInput
from .cloud import Cloud
from .columns import as_colours

HEADER_BYTES = 1 << 16
KINDS = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
POSITION, NORMAL, COLOUR = ("x", "y", "z"), ("nx", "ny", "nz"), ("red", "green", "blue")


@dataclass(frozen=True)
class _Header:
    """order: of bytes, "" for text. count: of vertices. properties: name and kind of each. faces: how many. size: of
    the header in bytes."""

    order: str
    count: int
    properties: list[tuple[str, str]]
    faces: int
    size: int


def read_ply(path: Path) -> tuple[Cloud, int]:
    """The vertices, and how many faces the file has, which are not read. Raises BadInput."""
    header = _header(path)
    names = [name for name, _ in header.properties]
    if not set(POSITION) <= set(names):
        raise _unreadable(path, f"its vertices have {', '.join(names) or 'nothing'}, not x, y, z")
    columns = _text(path, header) if header.order == "" else _binary(path, header)
    normals = _together(columns, NORMAL)
    colours = _together(columns, COLOUR)
    points = np.stack([columns[name] for name in POSITION], axis=1).astype(np.float64)
    return Cloud(
        points,
        None if normals is None else normals.astype(np.float32),
        None if colours is None else as_colours(colours),
    ), header.faces


def _header(path: Path) -> _Header:
    with path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    text, end, _ = start.partition(b"end_header")
    newline = start[len(text) + len(end) :].find(b"\n")
    if not start.startswith(b"ply") or not end or newline < 0:
        raise _unreadable(path, "it does not begin with the header of a PLY file")
    words = [line.split() for line in text.decode("latin-1").splitlines()]
    try:
        return _parsed(words, len(text) + len(end) + newline + 1)
    except (ValueError, KeyError, IndexError) as error:
        raise _unreadable(path, f"its header cannot be read: {error}") from error


def _parsed(lines: list[list[str]], size: int) -> _Header:
    order, elements = "", {}
    for words in lines:
        if words[:1] == ["format"]:
            order = ORDERS[words[1]]
        elif words[:1] == ["element"]:
            elements[words[1]] = (int(words[2]), [])
        elif words[:1] == ["property"]:
            kind = "list" if words[1] == "list" else KINDS[words[1]]
            elements[list(elements)[-1]][1].append((words[-1], kind))
    if next(iter(elements), "") != "vertex":
        raise ValueError("vertices do not come first")
    count, properties = elements["vertex"]
    if count < 0 or any(kind == "list" for _, kind in properties):
        raise ValueError("vertices with lists")
    if len(dict(properties)) < len(properties):
        raise ValueError("a property that is there twice")
    return _Header(order, count, properties, elements.get("face", (0, []))[0], size)


def _binary(path: Path, header: _Header) -> dict[str, np.ndarray]:
    record = np.dtype([(name, header.order + kind) for name, kind in header.properties])
    there = path.stat().st_size - header.size
    if header.count * record.itemsize > there:
        raise _unreadable(path, f"its header promises {header.count} vertices, there are {there // record.itemsize}")
    table = np.fromfile(path, record, header.count, offset=header.size)
    return {name: table[name] for name in record.names or ()}


def _text(path: Path, header: _Header) -> dict[str, np.ndarray]:
    if header.count * 2 * len(header.properties) > path.stat().st_size:
        raise _unreadable(path, f"its header promises {header.count} vertices, more than it has room for")
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of empty lines; too few numbers are refused below
            file.seek(header.size)
            table = np.loadtxt(file, np.float64, max_rows=header.count, ndmin=2) if header.count else np.zeros((0, 0))
    except ValueError as error:
        raise _unreadable(path, str(error).partition(";")[0]) from error
    if table.shape != (header.count, len(header.properties)) and header.count:
        raise _unreadable(path, f"it has {table.shape[0]} vertices of {table.shape[1]} numbers")
    return {
        name: table[:, i] if header.count else table[:0, 0:0].ravel() for i, (name, _) in enumerate(header.properties)
    }


def _together(columns: dict[str, np.ndarray], names: tuple[str, str, str]) -> np.ndarray | None:
    return np.stack([columns[name] for name in names], axis=1) if set(names) <= set(columns) else None


def _unreadable(path: Path, why: str) -> BadInput:
    return BadInput("unreadable points", where=path, why=why, todo="export them again")
