"""A port of this machine that nobody listens on."""

from __future__ import annotations

import os
import socket

from ..errors import Unavailable

HOST = "127.0.0.1"
"""The only address that is ever listened on: what is shown is nobody else's business."""
FIRST = 8080
TRIED = 20


def free_port(first: int = FIRST, tried: int = TRIED) -> int:
    """The first free one of so many. Raises Unavailable where all are taken."""
    for port in range(first, min(first + tried, 65536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if os.name != "nt":  # there it means another thing
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what just ended still lingers
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    where, why = f"{HOST}:{first}", f"all of {tried} ports are taken"
    raise Unavailable("no free port", where=where, why=why, todo="end other viewers, or choose another --port")
