"""`tidr mask`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AllowOutsideOption, MaskModelOption, ThreadsOption


def mask(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="Folder with photos and cameras.")],
    edit: Annotated[
        bool, typer.Option("--edit", help="Write photos with transparent background, CAPTURE/cutouts, to correct.")
    ] = False,
    edited: Annotated[bool, typer.Option("--edited", help="Take over what was corrected there.")] = False,
    mask_model: MaskModelOption = None,
    allow_outside: AllowOutsideOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Cut silhouettes of a capture that has cameras but no masks, or correct those that it has.

    Needs the optional packages: pip install 'taichi-idr[photos]'.
    """
    from taichi_idr.commands.mask import mask_capture, read_cutouts, write_cutouts
    from taichi_idr.errors import UsageError
    from taichi_idr.types import CaptureReading

    if mask_model is not None and (edit or edited):
        raise UsageError("nothing is cut", where="--mask-model", todo="leave it out to correct masks")
    if edit and edited:
        raise UsageError("two ways at once", where="--edit --edited", todo="give one of them")
    reading = CaptureReading(allow_outside=allow_outside)
    if edited:
        read_cutouts(capture, reading)
    elif edit:
        write_cutouts(capture, reading)
    else:
        mask_capture(capture, reading, mask_model=mask_model, threads=threads)
