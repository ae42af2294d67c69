"""Who writes: a process, told from a later one of its number and from those of other machines."""

from __future__ import annotations

import math
import os
import socket
from dataclasses import dataclass
from typing import Any

MOST_PIDS = 2**31
SECONDS_APART = 1.5  # starts of one process, as the system tells them at different times


@dataclass(frozen=True)
class Writer:
    """A process: pid, host, and its start (seconds since 1970), which tells it from a later one with its pid."""

    pid: int
    host: str
    started: float

    @classmethod
    def here(cls) -> Writer:
        import psutil

        return cls(os.getpid(), socket.gethostname(), psutil.Process().create_time())

    @classmethod
    def of_record(cls, record: Any) -> Writer:
        """From the names of its fields. Raises TypeError, ValueError where no process can be meant."""
        writer = cls(**record)
        kinds = [type(value) for value in (writer.pid, writer.host, writer.started)]
        if kinds[:2] != [int, str] or kinds[2] not in (int, float):
            raise TypeError("expected a number, a name and a time")
        if not 0 < writer.pid < MOST_PIDS or not math.isfinite(writer.started):
            raise ValueError("no process has that number or that start")
        return writer

    def is_alive(self) -> bool:
        """Whether it may run: one on another host counts as running."""
        if self.host != socket.gethostname():
            return True
        import psutil

        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < SECONDS_APART
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:  # somebody else's, which says nothing about itself
            return True
