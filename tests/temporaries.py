"""Names of half-written files, whoever writes them."""

from __future__ import annotations

import hashlib
import os
import socket

import psutil


def temporary_name(pid: int, suffix: str = "", *, host: str | None = None, started: float = 1e9) -> str:
    """Of a process that has begun at a time, seconds since 1970."""
    digest = hashlib.sha256((host or socket.gethostname()).encode()).hexdigest()[:8]
    return f".tidr-{digest}-{pid}-{int(started)}-0123abcd.tmp{suffix}"


def own_name(suffix: str = "") -> str:
    """Of this process."""
    return temporary_name(os.getpid(), suffix, started=psutil.Process().create_time())
