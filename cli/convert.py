"""`tidr convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def convert(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="Folder with photos, masks and cameras.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder.")],
    to: Annotated[Literal["idr", "colmap", "transforms"], typer.Option(help="Format that is written.")] = "idr",
    normalize: Annotated[bool, typer.Option("--normalize", help="Find the object from the masks anew.")] = False,
    invert_masks: Annotated[bool, typer.Option("--invert-masks", help="Black is the object.")] = False,
    resize_masks: Annotated[bool, typer.Option("--resize-masks", help="Accept masks of another size.")] = False,
    allow_outside: Annotated[bool, typer.Option("--allow-outside", help="Photos may be links out of CAPTURE.")] = False,
) -> None:
    """Write a capture in another format.

    Photos become PNG files, straightened where a lens bent them.
    """
    from taichi_idr.commands.convert import convert_capture
    from taichi_idr.types import CaptureReading

    reading = CaptureReading(normalize, invert_masks, resize_masks, allow_outside=allow_outside)
    convert_capture(capture, out, to=to, reading=reading)
