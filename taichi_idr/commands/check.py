"""`tidr check`: a capture looked at before a fit."""

from __future__ import annotations

from pathlib import Path

from ..capture.formats.catalogue import find_capture
from ..capture.memory import check_memory
from ..errors import OutOfMemory
from ..files.writing import create_folder
from ..types import CaptureReading

CHECKS = Path("checks")


def check_capture(
    capture: Path, *, out: Path | None = None, reading: CaptureReading | None = None, downscale: int = 1
) -> Path:
    """Look at every photo, mask and camera, say what was found and write a page about it; returns the page.

    out: the page's folder, by default `checks/` with the capture's name in it. downscale: of the fit whose need of
    memory is told. A capture that a fit refuses gets its page too, before that is raised.

    >>> check_capture(capture, out=run.with_name("check")).name
    capture   IDR, 3 photos
    ...
    'index.html'

    Raises the TidrErrors of the capture, CannotCreate, WriteFailed.
    """
    reading = reading or CaptureReading()
    layout = find_capture(capture, reading, depth="maps")
    folder = out or CHECKS / capture.resolve().name
    create_folder(folder)
    print(f"capture   {layout.format}, {len(layout.images)} photos", flush=True)
    try:
        memory = str(check_memory(layout, downscale))
    except OutOfMemory as error:
        memory = f"{error.why}; {error.todo}"
    print(f"memory    {memory}", flush=True)
    from .. import runtime
    from ..capture.inspection import inspected
    from ..capture.quality import said_of_views
    from ..report.check_contents import verdict_of, write_check

    runtime.init("cpu")
    found = inspected(capture, layout, reading)
    page = write_check(folder, capture.resolve().name, found, memory)
    for text in [*found.notes, *said_of_views(found.quality, len(found.quality))]:
        print(f"look at   {text}")
    print(f"verdict   {verdict_of(found)[1] if found.error is None else 'a fit would refuse it'}")
    print(f"page      {page}")
    if found.error is not None:
        found.error.warnings = ()  # they have been told
        raise found.error
    return page
