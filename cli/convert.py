"""`tidr convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import AllowOutsideOption, IgnoreOption, InvertMasksOption, NormalizeOption, ResizeMasksOption


def convert(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="Folder with photos, masks and cameras.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder.")],
    to: Annotated[Literal["idr", "colmap", "transforms"], typer.Option(help="Format that is written.")] = "idr",
    normalize: NormalizeOption = False,
    invert_masks: InvertMasksOption = False,
    resize_masks: ResizeMasksOption = False,
    allow_outside: AllowOutsideOption = False,
    ignore: IgnoreOption = None,
) -> None:
    """Write a capture in another format.

    Photos become PNG files, straightened where a lens bent them.
    """
    from taichi_idr.capture.formats.pairing import ignore_folder
    from taichi_idr.commands.convert import convert_capture
    from taichi_idr.types import CaptureReading

    flags = {"normalize": normalize, "invert_masks": invert_masks, "resize_masks": resize_masks}
    reading = CaptureReading(**flags, allow_outside=allow_outside, ignore=ignore_folder(capture, ignore))
    convert_capture(capture, out, to=to, reading=reading)
