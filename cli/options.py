"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .failures import note_run

ArchChoice = Literal["auto", "cpu", "cuda", "vulkan"]
_RUN_HELP = "Folder of a fit. [default: the newest in ./runs]"
RunArgument = Annotated[Path | None, typer.Argument(metavar="RUN", help=_RUN_HELP)]
ArchOption = Annotated[ArchChoice, typer.Option(help="Backend; auto is cuda where there is one, else cpu.")]


def chosen_run(run: Path | None) -> Path:
    """`run`, or the newest one, once it is known to be a run. Raises InputMissing, BadInput."""
    from taichi_idr.runs.folder import newest_run, open_run

    path = open_run(newest_run() if run is None else run).path
    note_run(path)
    return path
