"""The one door through which files come in: regular files alone, of no more bytes than their reader has room for.

A pipe would never end, a device does not say how much there is, and what a file says of itself is not believed.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import BadInput, InputMissing, TidrError

MOST_BYTES = 4 << 30
"""Of files whose reader holds all of them in memory and knows no better bound."""


@contextmanager
def opened(path: Path, most: int = MOST_BYTES, *, what: str = "unreadable file", todo: str = "") -> Iterator[BinaryIO]:
    """A regular file of at most so many bytes, at its beginning; what goes wrong while it is read is told as well.

    Raises InputMissing: no such file; BadInput: no regular file, too large, what the system says.
    """
    try:
        handle = _handle(path, what, todo)
        with _closed_if_refused(handle):
            _check(os.fstat(handle), path, most, what, todo)
        with os.fdopen(handle, "rb") as file:
            yield file
    except OSError as error:
        raise BadInput(what, where=path, why=error.strerror or str(error), todo=todo) from error


def whole(path: Path, most: int = MOST_BYTES, *, what: str = "unreadable file", todo: str = "") -> bytes:
    """All bytes of a file. Raises as `opened`."""
    with opened(path, most, what=what, todo=todo) as file:
        return file.read()


def head_of(path: Path, size: int) -> bytes:
    """The first bytes; none of what is no regular file, or cannot be read."""
    try:
        with opened(path, sys.maxsize) as file:
            return file.read(size)
    except TidrError:
        return b""


def text_of(path: Path, most: int, *, what: str = "unreadable file", todo: str = "") -> str:
    """UTF-8. Raises as `opened`, and BadInput where it is no text."""
    try:
        return whole(path, most, what=what, todo=todo).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(what, where=path, why="it is no text", todo=todo) from error


def regular(path: Path, most: int = MOST_BYTES, *, what: str = "unreadable file", todo: str = "") -> Path:
    """`path`, for a library that opens files itself. Raises as `opened`."""
    with opened(path, most, what=what, todo=todo):
        return path


def _handle(path: Path, what: str, todo: str) -> int:
    try:
        # Without O_NONBLOCK a pipe is waited for while it is opened, before anybody can look what it is.
        return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise InputMissing("no such file", where=path, todo="check the path") from error
    except ValueError as error:  # no file can have such a name
        raise BadInput(what, where=path, why=str(error), todo=todo) from error


@contextmanager
def _closed_if_refused(handle: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        os.close(handle)
        raise


def _check(status: os.stat_result, path: Path, most: int, what: str, todo: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(what, where=path, why="it is no regular file", todo=todo)
    if status.st_size > most:
        raise BadInput("file too large", where=path, why=f"more than {most >> 20} MiB", todo=todo)
