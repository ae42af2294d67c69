"""Files of cameras as JSON and text, read strictly: bounded, finite, no key twice; and matrices in plain numbers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from ...errors import BadInput
from ...files.reading import text_of, whole
from .source import Pinhole

LARGEST = 1e12
"""Of a number in a file: beyond is damage."""
NOT_TRIANGULAR = 1e-6  # of K's focal length, below the diagonal
SUFFIX_BYTES = 255  # of a file's name, on most systems
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)

Rows = tuple[tuple[float, float, float], ...]
"""A 3x3 matrix."""
Vector = tuple[float, float, float]


def read_json(file: Path, what: str, todo: str, most: int) -> dict[str, Any]:
    """An object without NaN and without a key twice, of at most so many bytes. Raises BadInput."""
    data = whole(file, most, todo=todo)
    try:
        tree = json.loads(data, parse_constant=_refuse_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadInput("not JSON", where=file, why=str(error), todo=todo) from error
    if not isinstance(tree, dict):
        raise BadInput(what, where=file, why="expected an object", todo=todo)
    return tree


def read_text(file: Path, what: str, todo: str, most: int) -> str:
    """UTF-8, of at most so many bytes. Raises BadInput."""
    return text_of(file, most, what=what, todo=todo)


def finite(value: Any, *, text: bool = False) -> float | None:
    """A number within bounds, else None. text: one that is written as a string will do."""
    if text and isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value) else None
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
    return float(value) if good else None


def numbers(values: Any, count: int, where: str, todo: str, *, text: bool = False) -> list[float]:
    """A list of so many finite numbers. Raises BadInput."""
    found = [finite(value, text=text) for value in values] if isinstance(values, list | tuple) else []
    if len(found) != count or None in found:
        raise BadInput("bad numbers", where=where, why=f"expected {count} finite numbers", todo=todo)
    return found  # pyright: ignore[reportReturnType]


def number(
    tree: Mapping[str, Any], key: str, where: str, todo: str, default: float | None = None, *, text: bool = False
) -> float:
    """Of a JSON object. Raises BadInput where it is missing without default, or no finite number."""
    value = finite(tree.get(key, default), text=text)
    if value is None:
        why = f"{tree[key]!r:.60}" if key in tree else "it is missing"
        raise BadInput("bad number", where=f"{where}.{key}", why=why, todo=todo)
    return value


def positive(value: float, where: str, todo: str, least: float = 1e-3, most: float = 1e9) -> float:
    """A focal length in pixels, or what else is above zero. Raises BadInput."""
    if not least <= value < most:
        why = f"{value:g}, expected a positive number, {least:g} to {most:g}"
        raise BadInput("bad intrinsics", where=where, why=why, todo=todo)
    return value


def side(value: float, where: str, todo: str) -> int:
    """Of a photo, in pixels. Raises BadInput."""
    return int(positive(value, where, todo, 1, 1 << 20))


def size_in(tree: Mapping[str, Any], where: str, todo: str, *, text: bool = False) -> tuple[int, int]:
    """`width` and `height` of a JSON object. Raises BadInput."""
    width, height = (
        side(number(tree, key, where, todo, text=text), f"{where}.{key}", todo) for key in ("width", "height")
    )
    return width, height


def objects(tree: Mapping[str, Any], key: str, where: object, todo: str) -> list[dict[str, Any]]:
    """A list of JSON objects; empty where it is missing. Raises BadInput."""
    found = tree.get(key) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadInput("bad list", where=f"{where}: {key}", why="expected a list of objects", todo=todo)
    return found


def check_name(named: Any, where: str, todo: str) -> str:
    """The name of a file as another program wrote it. Raises BadInput where no file can be of that name."""
    try:
        good = isinstance(named, str) and bool(named) and "\0" not in named and "://" not in named
        good = good and all(len(os.fsencode(part)) <= SUFFIX_BYTES for part in PureWindowsPath(named).parts)
    except UnicodeEncodeError:
        good = False
    if not good:
        raise BadInput("bad file name", where=where, why=f"{named!r:.60}", todo=todo)
    return named


def as_rows(values: Sequence[float]) -> Rows:
    """Of nine numbers, row by row."""
    a, b, c, d, e, f, g, h, i = values
    return ((a, b, c), (d, e, f), (g, h, i))


def transposed(rows: Rows) -> Rows:
    a, b, c = zip(*rows, strict=True)
    return (a, b, c)


def times(rows: Rows, vector: Sequence[float]) -> Vector:
    a, b, c = (sum(entry * value for entry, value in zip(row, vector, strict=True)) for row in rows)
    return (a, b, c)


def product(first: Rows, second: Rows) -> Rows:
    columns = [times(first, column) for column in transposed(second)]
    a, b, c = zip(*columns, strict=True)
    return (a, b, c)


def pose_of(R_camera_world: Rows, shift: Sequence[float]) -> tuple[Rows, Vector]:
    """Rotation camera -> world and centre of x_camera = R x_world + shift."""
    rotation = transposed(R_camera_world)
    x, y, z = times(rotation, shift)
    return rotation, (-x, -y, -z)


def pinhole_of(K: Rows, size: tuple[int, int], where: str, todo: str, corner: float = 0.0) -> Pinhole:
    """Of an upper triangular matrix. size: width and height. corner: pixels from where its coordinates are counted to
    the first pixel's centre. Raises BadInput."""
    (fx, skew, cx), (left, fy, cy), (low, lower, scale) = K
    below = max(abs(left), abs(low), abs(lower))
    if not scale or min(fx / scale, fy / scale) <= 0 or below > NOT_TRIANGULAR * abs(fx):
        why = "K is not upper triangular with positive focal lengths"
        raise BadInput("bad intrinsics", where=where, why=why, todo=todo)
    fx, fy = (positive(focal / scale, where, todo) for focal in (fx, fy))
    skew, cx, cy = (value / scale for value in (skew, cx, cy))
    if not max(map(abs, (skew, cx, cy))) < LARGEST:
        raise BadInput("bad intrinsics", where=where, why="a principal point out of bounds", todo=todo)
    return Pinhole(fx, fy, cx - corner, cy - corner, *size, skew=skew)


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)
