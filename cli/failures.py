"""One line on standard error and an exit code for everything that can end a command."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from pathlib import Path

import typer

from taichi_idr import __version__
from taichi_idr.errors import (
    CannotCreate,
    ExitCode,
    OutOfMemory,
    TidrError,
    UsageError,
    WriteFailed,
    is_out_of_memory,
    warn,
)
from taichi_idr.files.writing import atomic_write

_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.ESTALE)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.EAGAIN)
_run: Path | None = None


class Terminated(BaseException):
    """SIGTERM, SIGHUP or SIGUSR1 outside the part of a fit that catches them itself."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def note_run(path: Path) -> None:
    """Name the run folder in which the traceback of a bug is to be kept, should it exist by then."""
    global _run
    _run = path


def forget_run() -> None:
    global _run
    _run = None


def report(error: BaseException, *, debug: bool) -> int:
    """Print the line for `error` and return its exit code."""
    if isinstance(error, BrokenPipeError):
        _close_stdout()
        return ExitCode.READER_GONE
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if debug:
        traceback.print_exception(error)
    text, code = _explain(error)
    for noticed in getattr(error, "warnings", ()):
        warn(noticed)
    sys.stderr.write(f"tidr: error: {one_line(text)}\n")
    sys.stderr.flush()
    return code


def one_line(text: str) -> str:
    """`text` without line breaks and control characters: names of files can hold both."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def _explain(error: BaseException) -> tuple[str, int]:
    if isinstance(error, TidrError):
        return str(error), error.exit_code
    if isinstance(error, (KeyboardInterrupt, Terminated)):
        number = error.number if isinstance(error, Terminated) else signal.SIGINT
        return f"stopped by {signal.Signals(number).name}", 128 + number
    if format_message := getattr(error, "format_message", None):  # typer's, of click or of its copy of click
        return str(_usage_error(format_message(), getattr(error, "ctx", None))), ExitCode.USAGE
    if is_out_of_memory(error):
        todo = "ask for less: --downscale 2, --rays 1024 or a smaller --res"
        return f"out of memory: {error}; {todo}" if str(error) else f"out of memory: {todo}", ExitCode.OUT_OF_MEMORY
    if (of_system := _of_system(error)) is not None:
        return str(of_system), of_system.exit_code
    return _explain_bug(error), ExitCode.BUG


def _of_system(error: BaseException) -> TidrError | None:
    """What the machine or its owner does not allow, which is no bug wherever it strikes."""
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if not isinstance(cause, OSError) or not isinstance(error, (OSError, ImportError)):
        return None
    where, why = cause.filename, cause.strerror or str(cause)
    if cause.errno in _DISK_FAULTS:
        return WriteFailed("write failed", where=where, why=why)
    if cause.errno in _FORBIDDEN:
        return CannotCreate("not allowed", where=where, why=why, todo="choose files and folders that you may write to")
    if cause.errno in _EXHAUSTED:
        todo = "allow more open files and processes (ulimit -n, ulimit -u), or close some"
        return OutOfMemory("the system has run out", where=where, why=why, todo=todo)
    return None


def _usage_error(text: str, context: typer.Context | None) -> UsageError:
    command = context.command_path if context else "tidr"
    text = text.rstrip(".").replace("Value error, ", "")
    return UsageError(f"{text[:1].lower()}{text[1:]}", where=command, todo=f"see {command} --help")


def _explain_bug(error: BaseException) -> str:
    summary = f"this is a bug, please report it: {type(error).__name__}: {error}"
    kept = _keep_traceback(error)
    return f"{summary}; traceback in {kept}" if kept else f"{summary}; --debug shows the traceback"


def _keep_traceback(error: BaseException) -> Path | None:
    if _run is None or not _run.is_dir():
        return None
    path = _run / "crash.txt"
    lines = traceback.format_exception(error)
    try:
        atomic_write(path, f"tidr {__version__}, Python {sys.version}\n{''.join(lines)}")
    except WriteFailed:
        return None
    return path


def _close_stdout() -> None:
    """Python flushes it once more at exit, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
