"""Writing so that a reader finds the old file or the new one, never a part of either: the one door to the disk.

No write follows a link at the place of its file: a file that is replaced takes the link's place, one that is written in
place (a log, a lock) is refused. tests/files/test_one_door.py proves that nobody else opens files for writing.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from ..errors import CannotCreate, TidrError, WriteFailed, warn
from .writers import Writer

_ITSELF = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # the latter: a pipe would wait for its reader
_TEMPORARY_NAME = re.compile(r"\.tidr-([0-9a-f]{8})-([0-9]{1,9})-([0-9]{1,12})-[0-9a-f]{8}\.tmp.*")
"""Digest of the host, process and its start (seconds since 1970), and a random number."""


def create_folder(path: Path) -> Path:
    """Make `path` and its parents and make sure that files can be written there. Raises CannotCreate."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except (FileExistsError, NotADirectoryError) as error:
        todo = "name a folder"
        why = "a file is in the way"
        raise CannotCreate("cannot create folder", where=path, why=why, todo=todo) from error
    except (OSError, ValueError) as error:
        todo = "choose a folder that you may write to"
        raise CannotCreate("cannot write to folder", where=path, why=_reason(error), todo=todo) from error


@contextmanager
def gone_if_refused(*folders: Path) -> Iterator[Callable[[], None]]:
    """Folders that the block makes are removed again, while empty, where it is refused before it calls what it gets.

    folders: inner ones first; their missing parents count too. So that refused input leaves nothing behind.
    """
    inside = [folder.absolute() for folder in folders]
    new = [path for path in dict.fromkeys([*inside, *inside[-1].parents]) if not path.exists()]
    kept: list[bool] = []
    try:
        yield lambda: kept.append(True)
    except TidrError:
        for path in new if not kept else []:
            with suppress(OSError):  # something else is in it by now
                path.rmdir()
        raise


def refuse_links(*paths: Path) -> None:
    """Raises CannotCreate where one of them is a link: what is written there would change another file or folder."""
    for path in paths:
        if path.is_symlink():
            why = "what is written there would change another file or folder"
            todo = "put the file or folder itself there, or choose another --out"
            raise CannotCreate("a link where output goes", where=path, why=why, todo=todo)


def atomic_write(path: Path, data: bytes | str) -> None:
    """Replace `path` by `data` (text as UTF-8). Raises WriteFailed and leaves the old file as it was."""
    with replacing(path) as temporary, temporary.open("xb") as file:
        file.write(data.encode() if isinstance(data, str) else data)


def write_filled(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """`atomic_write` of what `fill` writes into a stream: libraries that save to a path would follow links."""
    data = io.BytesIO()
    fill(data)
    atomic_write(path, data.getvalue())


def append(path: Path, data: bytes) -> None:
    """Add to the end of a file, made if need be; another name of the same file (`cp -al` makes such copies) keeps what
    it has. Raises OSError, for a link or what is no file too; WriteFailed."""
    handle = open_in_place(path, os.O_WRONLY | os.O_APPEND)
    with os.fdopen(handle, "ab") as file:
        if os.fstat(handle).st_nlink == 1:
            file.write(data)
            return
    atomic_write(path, path.read_bytes() + data)


def open_in_place(path: Path, flags: int) -> int:
    """A handle of the file at `path` itself, made if need be. Raises OSError, for a link or what is no file too."""
    handle = os.open(path, flags | os.O_CREAT | _ITSELF, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return handle


def remove(path: Path) -> None:
    """An old file that is there for nothing, if it is there; one that may not be removed is no reason to stop."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        warn(f"{path} stays: {_reason(error)}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix, that becomes `path` if the block ends without error.

    The folder must exist. An OSError raises WriteFailed; the old file is then as it was.
    """
    _tidy_once(path.parent)
    temporary = path.with_name(_temporary_name(path.suffix))
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.replace(path)
        _flush_to_disk(path.parent)
    except TidrError:
        raise
    except OSError as error:
        raise _failed(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, which is empty or not there, that becomes it if the block ends without error.

    Else nothing is left of it. Raises CannotCreate, WriteFailed.
    """
    temporary = create_folder(path).with_name(_temporary_name())
    _tidy_once(path.parent)
    try:
        yield create_folder(temporary)
        temporary.replace(path)
        _flush_to_disk(path.parent)
    except OSError as error:
        raise _failed(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder that nobody else may enter, in `parent` or where the system keeps such, which is gone afterwards.

    What a killed command left there goes with the next one's. Raises CannotCreate.
    """
    parent = parent or Path(tempfile.gettempdir())
    _tidy_once(parent)
    folder = parent / _temporary_name()
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        todo = "free space there, or choose another place by TMPDIR"
        raise CannotCreate("cannot create folder", where=folder, why=_reason(error), todo=todo) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale_temporaries(folder: Path) -> None:
    """Delete what `replacing` and the like left below `folder` when their process was killed; living
    processes, and those of other hosts, keep theirs."""
    for path in list(folder.rglob(".tidr-*")):
        _remove_stale(path)


@cache
def _tidy_once(folder: Path) -> None:
    """What killed commands left is removed by the next one that writes there."""
    with suppress(OSError):
        for path in list(folder.glob(".tidr-*")):
            _remove_stale(path)


def _remove_stale(path: Path) -> None:
    """Unless it is something else, or its writer may live."""
    match = _TEMPORARY_NAME.fullmatch(path.name)
    if match is None or match[1] != _host() or Writer(int(match[2]), socket.gethostname(), int(match[3])).is_alive():
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        remove(path)


def _temporary_name(suffix: str = "") -> str:
    writer = Writer.here()
    return f".tidr-{_host()}-{writer.pid}-{int(writer.started)}-{secrets.token_hex(4)}.tmp{suffix}"


def _host() -> str:
    """Names of hosts may hold anything, and be long."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _failed(path: Path, error: OSError) -> WriteFailed:
    todo = "free space or choose another --out, then run the same command again"
    return WriteFailed("write failed", where=path, why=f"{_reason(error)}, older files are intact", todo=todo)


def _flush_to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
