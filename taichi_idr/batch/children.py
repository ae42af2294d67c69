"""Processes of the jobs that run in this worker, and the way to stop them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..files.writing import open_in_place

_running: dict[str, set[subprocess.Popen[bytes]]] = {}
_stopped: set[str] = set()
"""Both by the batch that they are of: workers of a cluster that others have started outlive it."""


def run_child(batch: str, command: Sequence[str], *, folder: Path, log: Path, environment: Mapping[str, str]) -> int:
    """Run a command in `folder`, its output at the end of `log`; returns its code, 128 + the signal that killed it.

    Its standard input stays open as long as this worker lives. Raises OSError where it cannot be started, or the log
    is a link.
    """
    with os.fdopen(open_in_place(log, os.O_WRONLY | os.O_APPEND), "ab") as sink:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in a terminal goes to `tidr batch`, which stops it once
        )
    with process, _noted(batch, process):
        code = process.wait()
    return code if code >= 0 else 128 - code


def stop_children(batch: str) -> None:
    """SIGINT to what runs of a batch in this worker; nothing more of it is started."""
    _stopped.add(batch)
    for process in list(_running.get(batch, ())):
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)


def is_stopped(batch: str) -> bool:
    return batch in _stopped


@contextmanager
def _noted(batch: str, process: subprocess.Popen[bytes]) -> Iterator[None]:
    _running.setdefault(batch, set()).add(process)
    try:
        if is_stopped(batch):  # in between
            process.send_signal(signal.SIGINT)
        yield
    finally:
        _running[batch].discard(process)
