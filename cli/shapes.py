"""`tidr shapes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import note_run
from .options import ArchOption, AssignmentsOption, SeedOption, ThreadsOption


def shapes(
    meshes: Annotated[
        list[Path] | None,
        typer.Argument(metavar="MESH...", help="Closed meshes, folders of some, or the run to be asked again."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. [default: runs/MESH's name, runs/shapes]")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="fast: one shape; latent: several; published. [default: by the number of meshes]"),
    ] = None,
    interpolate: Annotated[
        str | None, typer.Option(metavar="A,B", help="Also meshes from one shape to another, by names or numbers.")
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="How many these are, both shapes included.")] = 5,
    sample: Annotated[int, typer.Option(min=0, help="Also so many shapes of random codes.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of optimisation.")] = None,
    res: Annotated[int, typer.Option(min=8, max=2048, help="Cells along an edge of a shape's padded box.")] = 256,
    assignments: AssignmentsOption = None,
    seed: SeedOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin again, whatever the run holds.")] = False,
    arch: ArchOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Learn what is inside closed meshes, by an occupancy network, and mesh what it says.

    Of several it learns a space of shapes. A run that is there is asked again: tidr shapes RUN --interpolate 0,1
    """
    pair = None if interpolate is None else _pair(interpolate)
    if out is not None:
        note_run(out)
    from taichi_idr.commands.shapes import Wanted, shape_meshes

    more = {"steps": steps, "seed": seed, "resolution": res, "fresh": fresh, "arch": arch, "threads": threads}
    wanted = Wanted(pair, count, sample)
    shape_meshes(meshes or [], out=out, preset=preset, assignments=assignments or [], wanted=wanted, **more)


def _pair(text: str) -> tuple[str, str]:
    """What --interpolate says. Raises typer.BadParameter."""
    first, comma, last = text.partition(",")
    if not (comma and first and last):
        raise typer.BadParameter(f"{text!r} is not A,B", param_hint="--interpolate")
    return first, last
