"""Numeric matrices of MATLAB 5 files, read strictly: scipy's reader ends the process on damaged ones.

MAT-File Format, MathWorks, chapter 1: a head of 128 bytes, then elements of a type, a size and data, some compressed.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from ..errors import BadInput
from .reading import whole

HEAD = 128
FILE_BYTES = 1 << 30
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = range(6, 16)
"""Of matrices of numbers: double, single, whole numbers of 8 to 64 bits."""
_COMPLEX = 0x08
_TODO = "write it again with MATLAB (-v6 or -v7) or scipy.io.savemat"


class _Damage(Exception):
    """In words."""


def read_mat(path: Path, names: Collection[str], most: int) -> dict[str, np.ndarray]:
    """Those of the matrices that are there, real, of at most so many numbers each, as they are stored.

    Raises InputMissing, BadInput: no MATLAB 5 file, damaged, too large.
    """
    data = whole(path, FILE_BYTES, todo=_TODO)
    try:
        order = {b"IM": "<", b"MI": ">"}.get(data[126:HEAD])
        if order is None:
            raise _Damage("it has not the head of a MATLAB 5 file")
        found = (_matrix(part, order, names, most) for part in _elements(data, order, most))
        return dict(filter(None, found))
    except _Damage as error:
        raise BadInput("unreadable MATLAB file", where=path, why=str(error), todo=_TODO) from error


def _elements(data: bytes, order: str, most: int) -> Iterator[bytes]:
    """What is in each matrix of a file."""
    at = HEAD
    while at < len(data):
        kind, part, at = _element(data, at, order, padded=False)
        if kind == _COMPRESSED:
            kind, part, _ = _element(_unpacked(part, 8 * most + (1 << 16)), 0, order)
        if kind == _MATRIX:
            yield part


def _unpacked(part: bytes, most: int) -> bytes:
    try:
        stream = zlib.decompressobj()
        found = stream.decompress(part, most)
    except zlib.error as error:
        raise _Damage(f"what is compressed cannot be unpacked: {error}") from error
    if stream.unconsumed_tail:
        raise _Damage(f"more than {most >> 20} MiB unpacked")
    return found


def _element(data: bytes, at: int, order: str, *, padded: bool = True) -> tuple[int, bytes, int]:
    """Type and data of the element there, and where the next one is; one of at most four bytes lies in its own tag."""
    if at + 8 > len(data):
        raise _Damage("it ends in the middle of an element")
    first, size = struct.unpack_from(f"{order}II", data, at)
    if first >> 16:
        kind, size, start, end = first & 0xFFFF, first >> 16, at + 4, at + 8
    else:
        kind, start = first, at + 8
        end = start + size + (-size % 8 if padded else 0)
    if start + size > min(end, len(data)):
        raise _Damage("it ends in the middle of an element")
    return kind, data[start : start + size], end


def _matrix(part: bytes, order: str, names: Collection[str], most: int) -> tuple[str, np.ndarray] | None:
    """Name and numbers; None of a matrix that nobody asked for, or of what is none of real numbers."""
    _, flags, at = _element(part, 0, order)
    _, sides, at = _element(part, at, order)
    _, name, at = _element(part, at, order)
    if name.decode("latin-1") not in names:
        return None
    if len(flags) != 8 or len(sides) % 4:
        raise _Damage("a matrix without class or sides")
    (word,) = struct.unpack_from(f"{order}I", flags)
    if word & 0xFF not in _CLASSES or (word >> 8) & _COMPLEX:
        return None
    shape = struct.unpack(f"{order}{len(sides) // 4}i", sides)
    kind, numbers, _ = _element(part, at, order)
    if kind not in _TYPES or min(shape, default=-1) < 0 or math.prod(shape) > most:
        raise _Damage(f"a matrix of sides {shape}, at most {most} numbers")
    stored = np.dtype(order + _TYPES[kind])
    if math.prod(shape) * stored.itemsize != len(numbers):
        raise _Damage(f"a matrix of sides {shape} in {len(numbers)} bytes")
    return name.decode("latin-1"), np.frombuffer(numbers, stored).reshape(shape, order="F")
