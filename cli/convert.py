"""`tidr convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from taichi_idr.types import MAX_PIXELS

from .options import (
    AllowOutsideOption,
    IgnoreOption,
    InvertMasksOption,
    MaxPixelsOption,
    NormalizeOption,
    ResizeMasksOption,
    chosen_reading,
)


def convert(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="Folder with photos, masks and cameras.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder.")],
    to: Annotated[Literal["idr", "colmap", "transforms"], typer.Option(help="Format that is written.")] = "idr",
    normalize: NormalizeOption = False,
    invert_masks: InvertMasksOption = False,
    resize_masks: ResizeMasksOption = False,
    allow_outside: AllowOutsideOption = False,
    ignore: IgnoreOption = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
) -> None:
    """Write a capture in another format.

    Photos become PNG files, straightened where a lens bent them.
    """
    from taichi_idr.commands.convert import convert_capture

    masks = {"invert_masks": invert_masks, "resize_masks": resize_masks, "max_pixels": max_pixels}
    reading = chosen_reading(capture, normalize=normalize, **masks, allow_outside=allow_outside, ignore=ignore)
    convert_capture(capture, out, to=to, reading=reading)
