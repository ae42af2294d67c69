"""`tidr mesh`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ArchOption, RunArgument, chosen_bodies, chosen_run


def mesh(
    run: RunArgument = None,
    res: Annotated[int, typer.Option(min=8, max=4096, help="Samples along the shortest axis of its box.")] = 512,
    bodies: Annotated[str, typer.Option(metavar="all|largest|N", help="Which bodies; N: so many of the largest.")] = (
        "largest"
    ),
    level: Annotated[
        float | None, typer.Option(help="Density on the surface, of preset nerf. [default: volume.level, 50]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="One .ply, .glb or .obj file. [default: .ply and .glb, in RUN/mesh]")
    ] = None,
    arch: ArchOption = "auto",
) -> None:
    """Extract a watertight, coloured mesh.

    It is in the capture's own frame and unit.
    """
    wanted = chosen_bodies(bodies)
    chosen = chosen_run(run)
    from taichi_idr.commands.mesh import mesh_run

    mesh_run(chosen, resolution=res, bodies=wanted, level=level, out=out, arch=arch)
