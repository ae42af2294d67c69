"""The formats that captures are read in, recognised by what is in a folder."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputMissing
from ...types import CaptureReading
from . import (
    alicevision,
    blendedmvs,
    bundler,
    colmap,
    idr,
    llff,
    metashape,
    middlebury,
    openmvg,
    strecha,
    transforms,
)
from .idr import FEWEST_VIEWS
from .source import Layout

FORMATS = (
    idr,
    transforms,
    colmap,
    openmvg,
    alicevision,
    metashape,
    bundler,
    blendedmvs,
    middlebury,
    strecha,
    llff,
)
"""Each says whether it has `recognised` a folder and knows to `find_files` there, without torch; the first wins."""


def find_capture(
    folder: Path, reading: CaptureReading | None = None, fewest_views: int = FEWEST_VIEWS, *, need_masks: bool = True
) -> Layout:
    """Where the files of a capture are, in the first format that the folder is of.

    Raises InputMissing: no folder, or what a format needs is not there; BadInput: what is there does not fit together.
    """
    reading = reading or CaptureReading()
    if not folder.is_dir():
        why = "it is a file" if folder.exists() else "there is no such folder"
        todo = "name a folder that holds photos, masks and cameras"
        raise InputMissing("no capture", where=folder, why=why, todo=todo)
    found = (one for one in FORMATS if not reading.cameras_file and one.recognised(folder))
    return next(found, idr).find_files(folder, reading, fewest_views, need_masks=need_masks)
