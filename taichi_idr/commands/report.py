"""`tidr report`: a page about a run, or about several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..runs.folder import open_run

if TYPE_CHECKING:
    from ..runtime import Arch

COMPARISON = "comparison.html"


def report_run(
    run: Path, *, compare: Sequence[Path] = (), film_frames: int = 48, out: Path | None = None, arch: Arch = "cpu"
) -> Path:
    """Write a page with its pictures in it, `RUN/report/index.html`; returns it and prints where it is.

    compare: other runs beside this one, in `RUN/report/comparison.html` then. out: another file. What the run does not
    have (measurements, a mesh, the photos) is left out. Raises UsageError, InputMissing, BadInput, CannotCreate,
    WriteFailed.
    """
    folder = open_run(run)
    if out is not None and out.suffix.lower() != ".html":
        raise UsageError("not a page", where=f"--out {out}", todo="end it in .html")
    if compare:
        others = [open_run(other).path for other in compare]
        from ..report.comparison import write_comparison

        page = write_comparison([run, *others], out or folder.report / COMPARISON, arch=arch)
    else:
        from ..report.contents import write_report

        page = write_report(run, film_frames=film_frames, inspect=True, out=out, arch=arch)
    print(f"report    {page} ({page.stat().st_size / 1e6:.1f} MB)")
    return page
