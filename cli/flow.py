"""`tidr flow`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import note_run
from .options import ArchOption, AssignmentsOption, SeedOption, ThreadsOption


def flow(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Closed meshes or point clouds over time, by their names.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the result. [default: runs/FOLDER's name]")] = None,
    preset: Annotated[str, typer.Option(help="fast; published: as in the paper, for a GPU.")] = "fast",
    correspondences: Annotated[
        bool, typer.Option("--correspondences", help="All files have the same vertices: follow them.")
    ] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of optimisation.")] = None,
    res: Annotated[int, typer.Option(help="Cells along the cube's edge: 32, 64, 128, 256 or 512.")] = 128,
    frames: Annotated[
        int | None, typer.Option(min=2, help="Meshes at even times. [default: at those of the input]")
    ] = None,
    film: Annotated[int, typer.Option(min=0, metavar="N", help="Frames of the film; 0: none.")] = 48,
    assignments: AssignmentsOption = None,
    seed: SeedOption = None,
    arch: ArchOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Follow a moving shape: closed meshes or clouds over time become one mesh whose vertices move.

    It need not be told which places correspond.
    """
    if out is not None:
        note_run(out)
    from taichi_idr.commands.flow import flow_sequence

    more = {"correspondences": correspondences, "steps": steps, "seed": seed, "resolution": res, "frames": frames}
    more |= {"film_frames": film, "arch": arch, "threads": threads}
    flow_sequence(folder, out=out, preset=preset, assignments=assignments or [], **more)
