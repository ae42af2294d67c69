"""`tidr prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    FocalOption,
    KeepSupportOption,
    MaskModelOption,
    MasksOption,
    QuickOption,
    RegionOption,
    SfmOption,
    ThreadsOption,
    chosen_region,
)


def prepare(
    photos: Annotated[
        Path, typer.Argument(metavar="PHOTOS|VIDEO", help="Folder of plain photos of one object, or a video of it.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the capture. [default: captures/PHOTOS' name]")] = None,
    masks: MasksOption = None,
    focal: FocalOption = None,
    quick: QuickOption = False,
    region: RegionOption = None,
    sfm: SfmOption = "auto",
    keep_support: KeepSupportOption = False,
    mask_model: MaskModelOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Make a capture of plain photos or a video: cameras by structure from motion, silhouettes by what differs from
    the table.

    Needs the optional packages: pip install 'taichi-idr[photos]'.
    """
    from taichi_idr.commands.prepare import Knowledge, prepare_capture
    from taichi_idr.structure.files import name_of

    place = out or Path("captures") / name_of(photos)
    prepare_capture(
        photos,
        place,
        Knowledge(masks, focal, quick, chosen_region(region), sfm, keep_support, mask_model),
        threads=threads,
    )
