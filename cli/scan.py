"""`tidr scan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .failures import note_run
from .options import (
    ArchOption,
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


def scan(
    photos: Annotated[
        Path, typer.Argument(metavar="PHOTOS|VIDEO|CAPTURE", help="Folder of photos of one object, or a video of it.")
    ],
    out: Annotated[Path | None, typer.Option(help="Run folder. [default: runs/PHOTOS' name]")] = None,
    preset: Annotated[str, typer.Option(help="fast; quality: better geometry.")] = "fast",
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of optimisation.")] = None,
    res: Annotated[int, typer.Option(min=8, max=4096, help="Samples along the mesh's shortest axis.")] = 512,
    masks: MasksOption = None,
    focal: FocalOption = None,
    quick: QuickOption = False,
    region: RegionOption = None,
    sfm: SfmOption = "auto",
    keep_support: KeepSupportOption = False,
    mask_model: MaskModelOption = None,
    arch: ArchOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """All of it: cameras, silhouettes, fit, mesh, numbers and a page about them.

    The same command again goes on where it stopped.
    """
    from taichi_idr.runs.folder import default_run
    from taichi_idr.structure.files import name_of

    run = out or default_run(name_of(photos))
    note_run(run)
    from taichi_idr.commands.prepare import Knowledge
    from taichi_idr.commands.scan import scan_photos

    known = Knowledge(masks, focal, quick, chosen_region(region), sfm, keep_support, mask_model)
    scan_photos(photos, run, known, preset=preset, steps=steps, resolution=res, arch=arch, threads=threads)
