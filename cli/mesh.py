"""`tidr mesh`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ArchOption, RunArgument, chosen_run


def mesh(
    run: RunArgument = None,
    res: Annotated[int, typer.Option(min=8, max=4096, help="Samples along the shortest axis of its box.")] = 512,
    out: Annotated[Path | None, typer.Option(help="One .ply or .glb file. [default: both, in RUN/mesh]")] = None,
    arch: ArchOption = "auto",
) -> None:
    """Extract a watertight, coloured mesh.

    It is in the capture's own frame and unit.
    """
    chosen = chosen_run(run)
    from taichi_idr.commands.mesh import mesh_run

    mesh_run(chosen, resolution=res, out=out, arch=arch)
