"""The formats that captures are read in, recognised by what is in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputMissing
from ...types import CaptureReading
from . import colmap, idr, transforms
from .idr import FEWEST_VIEWS
from .source import Layout


@dataclass(frozen=True)
class Format:
    """name: in words. recognised: whether a folder is one. find: its files, read in a way (without torch)."""

    name: str
    recognised: Callable[[Path], bool]
    find: Callable[..., Layout]


FORMATS = (
    Format(idr.FORMAT, idr.recognised, idr.find_files),
    Format(transforms.FORMAT, transforms.recognised, transforms.find_files),
    Format(colmap.FORMAT, colmap.recognised, colmap.find_files),
)
"""In the order in which they are tried: what was written for us first."""


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
    return next(found, FORMATS[0]).find(folder, reading, fewest_views, need_masks=need_masks)
