"""LAS and LAZ, read by laspy, which is an optional part, once their heads promise no more than there is."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import BadInput, Unavailable
from ..files.reading import opened
from .cloud import Cloud
from .columns import as_colours

CHUNK_BYTES = 64 << 20  # of points read at once
PIP = "pip install 'taichi-idr[las]'"
HEAD, HEAD_1_4 = 227, 375  # bytes of the least and the latest head
VLR, EVLR = 54, 60  # bytes of the least records of variable length, before and behind the points


def read_las(path: Path) -> Cloud:
    """Positions, and colours where they are not all black. Raises Unavailable without laspy, BadInput."""
    try:
        import laspy
    except ImportError as error:
        raise Unavailable("LAS files need laspy", where=path, todo=PIP) from error
    at_once = max(CHUNK_BYTES // _checked_record(path), 1)
    try:
        # In parallel, lazrs takes the memory that chunks ask for, and ends the process where there is none.
        with laspy.open(path, laz_backend=laspy.LazBackend.Lazrs) as file:
            parts = [_part(records) for records in file.chunk_iterator(at_once)]
    except BaseException as error:  # a parser fed with arbitrary bytes may raise anything
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":  # of lazrs
            raise _unreadable(path, f"las reader: {error}") from error
        raise
    points = np.concatenate([np.zeros((0, 3)), *(points for points, _ in parts)])
    colours = [colours for _, colours in parts if colours is not None]
    known = np.concatenate(colours) if colours else None
    return Cloud(points, None, as_colours(known) if known is not None and known.any() else None)


def _checked_record(path: Path) -> int:
    """Bytes of a point. Raises BadInput where the head (LAS 1.4 R15, table 3) or the chunks of LAZ promise more than
    the file has room for: laspy walks through records that are not there, and lazrs ends the process."""
    with opened(path, todo="export it again") as file:
        head = file.read(HEAD_1_4)
        size = file.seek(0, 2)
        if head[:4] != b"LASF" or len(head) < HEAD:
            raise _unreadable(path, "it does not begin with the head of a LAS file")
        head_size, points_at, records, kind, length, count = struct.unpack_from("<HIIBHI", head, 94)
        good = HEAD <= head_size <= points_at <= size and records * VLR <= points_at - head_size and length > 0
        if head[25] >= 4 and len(head) == HEAD_1_4:
            more, count = struct.unpack_from("<IQ", head, 243)
            good = good and more * EVLR <= size
        compressed = bool(kind & 0xC0)
        room = _has_chunks(file, points_at, length) if compressed else count * length <= size - points_at
        if not (good and room):
            raise _unreadable(path, f"its head promises more than its {size} bytes hold")
        return length


def _has_chunks(file: BinaryIO, points_at: int, length: int) -> bool:
    """Whether a LAZ file has room for its chunks, each of which begins with a whole point."""
    size = file.seek(0, 2)
    if points_at + 8 > size:
        return False
    file.seek(points_at)
    (table,) = struct.unpack("<q", file.read(8))
    if table == -1:  # written without seeking: where it is stands at the end
        file.seek(size - 8)
        (table,) = struct.unpack("<q", file.read(8))
    if not points_at <= table <= size - 8:
        return False
    file.seek(table)
    _, chunks = struct.unpack("<II", file.read(8))
    return chunks * length <= size


def _part(records) -> tuple[np.ndarray, np.ndarray | None]:
    points = np.stack([records.x, records.y, records.z], axis=1).astype(np.float64)
    if "red" not in records.point_format.dimension_names:
        return points, None
    return points, np.stack([records.red, records.green, records.blue], axis=1)


def _unreadable(path: Path, why: str) -> BadInput:
    return BadInput("unreadable points", where=path, why=why, todo="export it again")
