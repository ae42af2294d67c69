"""The formats that captures are read in, recognised by what is in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

from ...errors import InputMissing
from ...types import CaptureReading, DepthSource
from . import (
    alicevision,
    blendedmvs,
    bundler,
    colmap,
    dvr,
    idr,
    krt,
    llff,
    metashape,
    middlebury,
    openmvg,
    strecha,
    transforms,
)
from .idr import FEWEST_VIEWS
from .pairing import find_depths, find_ignored
from .source import Layout

HELDOUT = "heldout"
"""Folder of a capture with a capture in the same world frame."""
FORMATS = (
    dvr,
    krt,
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
    folder: Path,
    reading: CaptureReading | None = None,
    fewest_views: int = FEWEST_VIEWS,
    *,
    need_masks: bool = True,
    depth: DepthSource = "off",
) -> Layout:
    """Where the files of a capture are, in the first format that the folder is of; of depth what is wanted.

    Raises InputMissing: no folder, or what a format needs is not there; BadInput: what is there does not fit together.
    """
    reading = reading or CaptureReading()
    if not folder.is_dir():
        why = "it is a file" if folder.exists() else "there is no such folder"
        todo = "name a folder that holds photos, masks and cameras"
        raise InputMissing("no capture", where=folder, why=why, todo=todo)
    layout = _format_of(folder, reading).find_files(folder, reading, fewest_views, need_masks=need_masks)
    layout = replace(layout, ignored=tuple(find_ignored(folder, layout.images, reading)))
    return layout if depth == "off" else _with_depth(layout, folder, reading, depth)


def find_heldout(folder: Path, reading: CaptureReading, *, need_masks: bool = True) -> Layout | None:
    """Photos of a capture that a fit never sees: of the capture in `heldout/`, or of a file that a Blender scene has
    for them; None where there are none.

    Raises InputMissing, BadInput as find_capture.
    """
    if (folder / HELDOUT).is_dir():
        return find_capture(folder / HELDOUT, reading, 1, need_masks=need_masks)
    if not folder.is_dir() or _format_of(folder, reading) is not transforms:
        return None
    return transforms.find_heldout(folder, reading, need_masks=need_masks)


def is_recognised(folder: Path) -> bool:
    """Whether a folder has the files of one of the formats."""
    return any(one.recognised(folder) for one in FORMATS)


def _with_depth(layout: Layout, folder: Path, reading: CaptureReading, depth: DepthSource) -> Layout:
    """Raises InputMissing where points are asked for and there are none."""
    maps = find_depths(folder, layout.images, reading)
    if maps or depth == "maps":
        return replace(layout, depths=tuple(maps))
    if layout.format != colmap.FORMAT:
        why, todo = f"{layout.format} has no points that are read", "use a COLMAP model, or put maps into depth/"
        raise InputMissing("no depth", where=folder, why=why, todo=todo)
    return replace(layout, points=layout.cameras)


def _format_of(folder: Path, reading: CaptureReading) -> ModuleType:
    """The first that is recognised; where poses of a file of its own were chosen, or nothing is, the IDR format."""
    found = (one for one in FORMATS if not reading.cameras_file and one.recognised(folder))
    return next(found, idr)
