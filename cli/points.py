"""`tidr points`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import note_run
from .options import ArchOption, AssignmentsOption, SeedOption, ThreadsOption, chosen_bodies


def points(
    cloud: Annotated[
        Path, typer.Argument(metavar="CLOUD", help="PLY, XYZ, TXT, CSV, NPY, NPZ, LAS or LAZ file of points.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the mesh. [default: runs/CLOUD's name]")] = None,
    preset: Annotated[str, typer.Option(help="fast; igr or sal: as published.")] = "fast",
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of optimisation.")] = None,
    res: Annotated[int, typer.Option(min=8, max=4096, help="Samples along the shortest axis of its box.")] = 256,
    bodies: Annotated[
        str | None,
        typer.Option(
            metavar="main|all|largest|N", help="Which bodies. [default: those that have points; igr, sal: largest]"
        ),
    ] = None,
    assignments: AssignmentsOption = None,
    seed: SeedOption = None,
    arch: ArchOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Mesh a point cloud: watertight, in its own frame and unit, with its colours.

    It needs no normals, and may have noise, outliers and holes.
    """
    wanted = None if bodies is None else chosen_bodies(bodies)
    if out is not None:
        note_run(out)
    from taichi_idr.commands.points import mesh_points

    more = {"steps": steps, "seed": seed, "resolution": res, "bodies": wanted, "arch": arch, "threads": threads}
    mesh_points(cloud, out=out, preset=preset, assignments=assignments or [], **more)
