"""`tidr render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import ArchOption, RunArgument, chosen_run


def render(
    run: RunArgument = None,
    views: Annotated[Literal["training", "heldout", "orbit"], typer.Option(help="Which cameras.")] = "orbit",
    frames: Annotated[int, typer.Option(min=1, help="Frames of an orbit.")] = 60,
    size: Annotated[int | None, typer.Option(min=16, help="Longer side in pixels. [default: the photos']")] = None,
    downscale: Annotated[int, typer.Option(min=1, help="Shrink the photos' size by this factor.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder. [default: RUN/renders]")] = None,
    arch: ArchOption = "auto",
) -> None:
    """Render pictures and a film.

    Colour, normals and depth as PNG files; the orbit as MP4 too.
    """
    chosen = chosen_run(run)
    from taichi_idr.commands.render import render_run

    render_run(chosen, views=views, frames=frames, size=size, downscale=downscale, out=out, arch=arch)
