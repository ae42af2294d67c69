"""`tidr demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import note_run
from .options import ArchOption


def demo(
    out: Annotated[
        Path | None, typer.Option(help="Folder for capture, run and report. [default: runs/demo, runs/demo-METHOD]")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Another one, in small: idr, dvr, unisurf, nerf, points, flow, paint or shapes.")
    ] = None,
    open_report: Annotated[bool, typer.Option("--open", help="Show the report in a browser.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A small, rough one.")] = False,
    arch: ArchOption = "auto",
) -> None:
    """Do everything once, on a capture of its own.

    An invented object is photographed, fitted, meshed and measured; OUT/report/index.html shows the result.
    """
    folder = out or Path("runs") / (f"demo-{method}" if method else "demo")
    note_run(folder)
    from taichi_idr.commands.demo import run_demo

    run_demo(folder, method=method, quick=quick, open_report=open_report, arch=arch)
