"""What can go wrong for a user, and the exit code that says so (docs/formats: the table of exit codes).

Every error reads `WHAT (WHERE): WHY; WHAT TO DO`; the command line prints it on one line after `tidr: error: `.
"""

from __future__ import annotations

import errno
import sys
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every `tidr` command."""

    DONE = 0
    USAGE = 2
    BAD_INPUT = 65
    INPUT_MISSING = 66
    UNAVAILABLE = 69
    BUG = 70
    OUT_OF_MEMORY = 71
    CANNOT_CREATE = 73
    WRITE_FAILED = 74
    LOCKED = 75
    DIVERGED = 76
    SOME_FAILED = 77
    RANK_LOST = 78
    STOPPED_BY_SIGHUP = 129
    STOPPED_BY_SIGINT = 130
    STOPPED_BY_SIGUSR1 = 138
    READER_GONE = 141
    STOPPED_BY_SIGTERM = 143


class TidrError(Exception):
    """A failure with a cause the user can act on.

    `what` names the failure, `where` the file, field or frame, `why` what was found and expected, `todo` the remedy.
    """

    exit_code = ExitCode.BUG
    warnings: tuple[str, ...] = ()  # of what was noticed before

    def __init__(self, what: str, *, where: object = None, why: str = "", todo: str = "") -> None:
        place = f" ({where})" if where is not None else ""
        tail = "; ".join(part for part in (why, todo) if part)
        super().__init__(f"{what}{place}: {tail}" if tail else f"{what}{place}")
        self.what, self.where, self.why, self.todo = what, where, why, todo


class UsageError(TidrError):
    """An option or configuration value that cannot be used."""

    exit_code = ExitCode.USAGE


class BadInput(TidrError):
    """A file that is there but incomplete or wrong."""

    exit_code = ExitCode.BAD_INPUT


class InputMissing(TidrError):
    """A folder or a whole file that is absent."""

    exit_code = ExitCode.INPUT_MISSING


class Unavailable(TidrError):
    """A backend or an optional part that this machine does not have."""

    exit_code = ExitCode.UNAVAILABLE


class OutOfMemory(TidrError):
    """Host or device memory ran out."""

    exit_code = ExitCode.OUT_OF_MEMORY


class CannotCreate(TidrError):
    """An output folder or file that cannot be created."""

    exit_code = ExitCode.CANNOT_CREATE


class WriteFailed(TidrError):
    """A write that failed part way (disk full, I/O error); the old file is intact."""

    exit_code = ExitCode.WRITE_FAILED


class Locked(TidrError):
    """Another process writes the same run."""

    exit_code = ExitCode.LOCKED


class Diverged(TidrError):
    """The optimisation did not recover, or the field has no surface."""

    exit_code = ExitCode.DIVERGED


class SomeFailed(TidrError):
    """Some captures of a batch; the others are done."""

    exit_code = ExitCode.SOME_FAILED


class RankLost(TidrError):
    """Another process of the same fit is gone; where it had begun, rank 0 has written a checkpoint."""

    exit_code = ExitCode.RANK_LOST


class Stopped(TidrError):
    """A signal ended the fit after a checkpoint was written."""

    def __init__(self, what: str, *, exit_code: ExitCode, where: object = None, todo: str = "") -> None:
        super().__init__(what, where=where, todo=todo)
        self.exit_code = exit_code


_MEMORY_WORDS = ("out of memory", "allocate memory", "memory allocation", "map segment", "start new thread")
"""Of torch, Taichi, the loader of shared libraries, and Python, where there is none left."""


def is_out_of_memory(error: BaseException) -> bool:
    """torch says so in a RuntimeError of its own on a GPU and in a plain one on the CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = str(error).lower()
    return isinstance(error, (RuntimeError, ImportError, OSError)) and any(word in text for word in _MEMORY_WORDS)


def warn(text: object) -> None:
    """Tell the user on standard error, on one line, and go on."""
    sys.stderr.write(f"tidr: warning: {' '.join(str(text).split())}\n")
    sys.stderr.flush()
