"""One writer a run: `run.lock` names it, and the system's own lock on that file ends with the process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from ..errors import CannotCreate, Locked
from ..files.writers import Writer
from ..files.writing import open_in_place, refuse_links

try:
    import fcntl
except ImportError:  # Windows: the names in the file decide alone
    fcntl = None


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; what a killed process left is taken over. Raises Locked, CannotCreate."""
    handle = _acquire(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path) -> int:
    while True:
        handle = _open(path)
        try:
            if _is_file_of(handle, path):
                _claim(handle, path)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its holder removed it in between: try the new one


def _open(path: Path) -> int:
    try:
        refuse_links(path)
        return open_in_place(path, os.O_RDWR)
    except OSError as error:
        todo = "choose a folder that you may write to"
        raise CannotCreate("cannot create lock", where=path, why=error.strerror or "", todo=todo) from error


def _is_file_of(handle: int, path: Path) -> bool:
    """Take the system's lock, then look whether `path` still is the file that was opened. Raises Locked."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _locked(path, _read_holder(handle)) from error
        except OSError:  # a file system without locks: the names in the file decide alone
            pass
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _claim(handle: int, path: Path) -> None:
    holder = _read_holder(handle)
    if holder is not None and holder != Writer.here() and holder.is_alive():
        raise _locked(path, holder)
    os.ftruncate(handle, 0)
    os.pwrite(handle, (json.dumps(asdict(Writer.here())) + "\n").encode(), 0)


def _read_holder(handle: int) -> Writer | None:
    """None where the file names nobody that could be."""
    try:
        return Writer.of_record(json.loads(os.pread(handle, 4096, 0)))
    except (ValueError, TypeError, RecursionError, OverflowError):
        return None


def _locked(path: Path, holder: Writer | None) -> Locked:
    who = f"process {holder.pid} on {holder.host}" if holder else "another process"
    todo = f"wait for it, choose another --out, or remove {path.name} if that process is gone"
    return Locked("run is in use", where=path.parent, why=f"{who} writes it", todo=todo)
