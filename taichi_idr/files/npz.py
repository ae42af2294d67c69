"""A reader of .npz archives and .npy files that runs nothing and allocates no more than the file can fill.

numpy's own reader believes what headers say about sizes; this one checks them against the bytes that are there.
"""

from __future__ import annotations

import io
import math
import pickletools
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO

import numpy as np

from ..errors import BadInput
from .reading import MOST_BYTES, opened

MEMBER_BYTES = 16 << 20
MEMBERS = 20_000
HEADER_BYTES = 4096
OVERHEAD = 64  # bytes by which packing makes few bytes longer, and more
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError)
_TODO = "write it again with numpy.savez"


def read_npz(path: Path, most: int = MEMBER_BYTES) -> dict[str, np.ndarray]:
    """The numeric arrays of an archive by name. Members with a folder in their name are ignored.

    Raises BadInput: not an archive, damaged, pickled data, a member above `most` bytes, a header that does not match.
    """
    try:
        with _numbers(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS:
                raise BadInput("bad archive", where=path, why=f"{len(members)} members, at most {MEMBERS}", todo=_TODO)
            arrays: dict[str, np.ndarray] = {}
            for member in members:
                key = member.filename.removesuffix(".npy")
                if key == member.filename or "/" in key or "\\" in key:
                    continue
                if key in arrays:
                    raise BadInput("bad archive", where=f"{path}: {key}", why="it is there twice", todo=_TODO)
                arrays[key] = _parse(_bytes_of(archive, member, f"{path}: {key}", most), f"{path}: {key}")
            return arrays
    except _DAMAGE as error:
        raise BadInput("damaged archive", where=path, why=f"not a whole .npz file ({error})", todo=_TODO) from error


def read_npy(path: Path, most: int = MEMBER_BYTES) -> np.ndarray:
    """A numeric array. Raises BadInput: damaged, pickled data, above `most` bytes, a header that does not match."""
    with _numbers(path, most) as file:
        return _parse(file.read(), str(path))


@contextmanager
def _numbers(path: Path, most: int = MOST_BYTES) -> Iterator[BinaryIO]:
    """A pickle is told from damage, so that its owner knows why it is refused. Nothing is unpickled."""
    with opened(path, most, what="cannot read file", todo=_TODO) as file:
        start = file.read(HEADER_BYTES)
        if not start:
            raise BadInput("empty file", where=path, why="0 bytes", todo=_TODO)
        if start[:1] == b"\x80" and _starts_like_pickle(start):
            raise BadInput("refused", where=path, why="pickled data can run code", todo=_TODO)
        file.seek(0)
        yield file


def _starts_like_pickle(start: bytes) -> bool:
    try:
        opcode, _, _ = next(pickletools.genops(start))
    except (ValueError, StopIteration):
        return False
    return opcode.name == "PROTO"


def _bytes_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str, most: int) -> bytes:
    if member.compress_type not in _COMPRESSIONS:
        raise BadInput("bad archive", where=where, why="unusual compression", todo=_TODO)
    if member.file_size > most:
        why = f"{member.file_size} bytes unpacked, at most {most}"
        raise BadInput("bad archive", where=where, why=why, todo=_TODO)
    if member.compress_size > 2 * member.file_size + OVERHEAD:
        why = f"{member.compress_size} bytes that unpack to {member.file_size}"
        raise BadInput("bad archive", where=where, why=why, todo=_TODO)
    with archive.open(member) as stream:
        # zipfile stops at the size that the archive states, so a false one unpacks no more than this.
        return stream.read(most + 1)


def _parse(data: bytes, where: str) -> np.ndarray:
    """One .npy file."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers as Python 2 wrote them
            shape, fortran_order, dtype = read_header(stream, max_header_size=HEADER_BYTES)
    except (ValueError, KeyError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise BadInput("bad array", where=where, why="its header cannot be read", todo=_TODO) from error
    if dtype.hasobject:
        raise BadInput("refused", where=where, why="pickled data can run code", todo=_TODO)
    there = len(data) - stream.tell()
    # numpy itself admits negative lengths, whose product may be positive.
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != there:
        why = f"its header says {shape} of {dtype}, the file holds {there} bytes"
        raise BadInput("bad array", where=where, why=why, todo=_TODO)
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran_order else "C")
