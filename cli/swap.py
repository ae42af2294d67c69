"""`tidr swap`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import ArchOption, chosen_run


def swap(
    geometry: Annotated[Path, typer.Option(metavar="RUN", help="Run that gives the shape.")],
    appearance: Annotated[Path, typer.Option(metavar="RUN", help="Run that gives the colours.")],
    out: Annotated[Path, typer.Option(help="A film (.mp4), or a folder of pictures.")],
    path: Annotated[
        str, typer.Option(metavar="orbit|FILE", help="orbit, or a cameras.npz to pass through, in RUN's world frame.")
    ] = "orbit",
    frames: Annotated[int, typer.Option(min=1, help="Pictures along the path.")] = 30,
    size: Annotated[int | None, typer.Option(min=16, help="Longer side in pixels. [default: the photos']")] = None,
    downscale: Annotated[int, typer.Option(min=1, help="Shrink the photos' size by this factor.")] = 1,
    renderer: Annotated[
        Literal["auto", "own", "material"],
        typer.Option(help="own: as the other run was fitted (idr, unisurf); material: learned now, without places."),
    ] = "auto",
    arch: ArchOption = "auto",
) -> None:
    """Show one run's shape in another's colours."""
    shape, look = chosen_run(geometry), chosen_run(appearance)
    from taichi_idr.commands.swap import swap_runs

    options = {"frames": frames, "size": size, "downscale": downscale, "arch": arch}
    swap_runs(shape, look, path=path, out=out, renderer=renderer, **options)
