"""Which pages may talk to the viewer: its own alone.

A page of any website that is open in a browser can ask a server on the same machine for a websocket, to which the rule
of same origin does not apply; and a name whose address becomes 127.0.0.1 meanwhile (DNS rebinding) makes a foreign page
look like its own. So who was asked has to be this machine, and a page that asks has to come from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from ..errors import warn
from .ports import HOST

NAMES = (HOST, "localhost")


def is_own(host: str | None, origin: str | None) -> bool:
    """Whether a request may be answered. host, origin: its headers; programs that are no browsers send no origin.

    Any port goes, for one may be forwarded from elsewhere; both have to name the same.
    """
    try:
        return urlsplit(f"//{host}").hostname in NAMES and origin in (None, f"http://{host}", f"https://{host}")
    except ValueError:  # brackets of an address that is none
        return False


@contextmanager
def foreign_pages_refused() -> Iterator[None]:
    """What viser serves from within the block on answers its own pages alone: it has no setting for that, and leaves it
    to `websockets` to listen."""
    from viser.infra import _infra

    listening: Any = _infra.websockets.asyncio.server  # pyright: ignore[reportPrivateImportUsage]
    serve, asked = listening.serve, []

    def guarded(*args: Any, process_request: Any, **kwargs: Any) -> Any:
        asked.append(True)

        def answer(connection: Any, request: Any) -> Any:
            if not is_own(request.headers.get("Host"), request.headers.get("Origin")):
                return connection.respond(403, "pages of this viewer alone\n")
            return process_request(connection, request)

        return serve(*args, process_request=answer, **kwargs)

    listening.serve = guarded
    try:
        yield
    finally:
        listening.serve = serve
    if not asked:
        warn("this version of viser answers pages of other origins: pip install -U 'taichi-idr[view]'")
