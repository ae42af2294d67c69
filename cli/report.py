"""`tidr report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ArchOption, RunArgument, chosen_run


def report(
    run: RunArgument = None,
    compare: Annotated[
        list[Path] | None, typer.Option(metavar="RUN", help="Another run, side by side with this one; repeatable.")
    ] = None,
    frames: Annotated[int, typer.Option(min=0, help="Frames of the turntable; 0 for none.")] = 48,
    out: Annotated[Path | None, typer.Option(help="An .html file. [default: RUN/report/index.html]")] = None,
    arch: ArchOption = "auto",
) -> None:
    """Write a page about a run.

    Pictures, curves, measurements, cameras, settings: one file to send.
    """
    chosen = chosen_run(run)
    from taichi_idr.commands.report import report_run

    report_run(chosen, compare=compare or (), film_frames=frames, out=out, arch=arch)
