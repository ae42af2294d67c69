"""`tidr check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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


def check(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="Folder with photos, masks and cameras.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the page. [default: checks/CAPTURE's name]")] = None,
    downscale: Annotated[int, typer.Option(min=1, help="Of the fit whose memory is told.")] = 1,
    normalize: NormalizeOption = False,
    invert_masks: InvertMasksOption = False,
    resize_masks: ResizeMasksOption = False,
    allow_outside: AllowOutsideOption = False,
    ignore: IgnoreOption = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
) -> None:
    """Look at a capture before a fit: one page and one list of what is wrong with which photo."""
    from taichi_idr.commands.check import check_capture

    masks = {"invert_masks": invert_masks, "resize_masks": resize_masks, "max_pixels": max_pixels}
    reading = chosen_reading(capture, normalize=normalize, **masks, allow_outside=allow_outside, ignore=ignore)
    check_capture(capture, out=out, reading=reading, downscale=downscale)
