"""One writer a run: `run.lock` names it, and the system's own lock on that file ends with the process."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import CannotCreate, Locked
from ..files.writing import open_in_place, refuse_links

try:
    import fcntl
except ImportError:  # Windows: the names in the file decide alone
    fcntl = None


@dataclass(frozen=True)
class Holder:
    """A process: pid, host, and its start (seconds since 1970), which tells it from a later one with its pid."""

    pid: int
    host: str
    started: float

    @classmethod
    def here(cls) -> Holder:
        import psutil

        return cls(os.getpid(), socket.gethostname(), psutil.Process().create_time())

    def is_gone(self) -> bool:
        """Whether no such process runs; one on another host counts as running."""
        if self.host != socket.gethostname():
            return False
        import psutil

        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) > 1.0
        except psutil.NoSuchProcess:
            return True


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
    if holder is not None and holder != Holder.here() and not holder.is_gone():
        raise _locked(path, holder)
    os.ftruncate(handle, 0)
    os.pwrite(handle, (json.dumps(asdict(Holder.here())) + "\n").encode(), 0)


def _read_holder(handle: int) -> Holder | None:
    try:
        return Holder(**json.loads(os.pread(handle, 4096, 0)))
    except (ValueError, TypeError, RecursionError):
        return None


def _locked(path: Path, holder: Holder | None) -> Locked:
    who = f"process {holder.pid} on {holder.host}" if holder else "another process"
    todo = f"wait for it, choose another --out, or remove {path.name} if that process is gone"
    return Locked("run is in use", where=path.parent, why=f"{who} writes it", todo=todo)
