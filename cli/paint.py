"""`tidr paint`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taichi_idr.types import MAX_PIXELS

from .options import (
    AllowOutsideOption,
    ArchOption,
    AssignmentsOption,
    IgnoreOption,
    InvertMasksOption,
    MaxPixelsOption,
    ResizeMasksOption,
    SeedOption,
    chosen_reading,
)

if TYPE_CHECKING:
    from taichi_idr.commands.paint import Subdivision


def paint(
    mesh: Annotated[
        Path, typer.Argument(metavar="MESH", help="PLY, OBJ, STL, OFF or GLB in CAPTURE's world frame; or a run.")
    ],
    capture: Annotated[
        Path, typer.Argument(metavar="CAPTURE", help="Folder with photos and cameras, and masks if there are any.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to write. [default: painted/CAPTURE's name]")] = None,
    preset: Annotated[
        str, typer.Option(help="light_field; texture: one colour for each place; texture_field: that as published.")
    ] = "light_field",
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of optimisation.")] = None,
    downscale: Annotated[int | None, typer.Option(min=1, help="Shrink the photos by this factor.")] = None,
    subdivide: Annotated[
        str, typer.Option(metavar="auto|none|LENGTH", help="Split edges longer than a pixel, none, or than LENGTH.")
    ] = "auto",
    light: Annotated[str | None, typer.Option(help="Lighting condition to show. [default: of most photos]")] = None,
    renders: Annotated[int, typer.Option(min=0, help="Training views written beside their photos.")] = 0,
    assignments: AssignmentsOption = None,
    seed: SeedOption = None,
    arch: ArchOption = "auto",
    invert_masks: InvertMasksOption = False,
    resize_masks: ResizeMasksOption = False,
    allow_outside: AllowOutsideOption = False,
    ignore: IgnoreOption = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
) -> None:
    """Paint a mesh from any program with photos whose cameras are known.

    Writes it with colours at its vertices, and how near they come to the photos.
    """
    length = _subdivision(subdivide)
    from taichi_idr.commands.paint import paint_mesh

    how = {"invert_masks": invert_masks, "resize_masks": resize_masks, "allow_outside": allow_outside}
    paint_mesh(
        mesh,
        capture,
        out=out,
        preset=preset,
        assignments=assignments or [],
        steps=steps,
        seed=seed,
        downscale=downscale,
        subdivide=length,
        light=light,
        renders=renders,
        reading=chosen_reading(capture, normalize=False, ignore=ignore, max_pixels=max_pixels, **how),
        arch=arch,
    )


def _subdivision(text: str) -> Subdivision:
    """What --subdivide says. Raises typer.BadParameter."""
    if text in ("auto", "none"):
        return text
    try:
        length = float(text)
    except ValueError:
        length = 0.0
    if not 0 < length < float("inf"):
        raise typer.BadParameter(f"{text!r} is neither auto, none nor a length", param_hint="--subdivide")
    return length
