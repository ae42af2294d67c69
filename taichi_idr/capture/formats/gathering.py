"""From views that a file tells of to the files of a capture: photos found by their names, missing ones named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PureWindowsPath

from ...errors import BadInput, InputMissing
from ...types import CaptureReading
from .pairing import find_masks
from .source import IMAGE_FOLDERS, FoundView, Layout, folder_of, listed, natural, refuse_outside, size_of
from .strict import check_name


@dataclass(frozen=True)
class Wanted:
    """What `find_files` is asked for. need_masks: else a capture without silhouettes will do."""

    folder: Path
    reading: CaptureReading
    fewest_views: int
    need_masks: bool


def find_photo(wanted: Wanted, told: str, where: str, todo: str) -> Path:
    """The photo that a file tells of by its path on the machine that wrote it: the longest end of that path that there
    is in the capture's folder of photos, or in the capture. One that is not there is named as it should be.

    Raises BadInput for a path that climbs (`..`), unless files outside are allowed.
    """
    folder = wanted.folder
    told = check_name(told, where, todo)
    if wanted.reading.allow_outside and (folder / told).is_file():
        return folder / told
    path = PureWindowsPath(told)  # of either kind of slashes
    parts = path.parts[1:] if path.anchor else path.parts
    if not parts or ".." in parts:
        raise BadInput("refused", where=where, why=f"{told!r:.60} leaves the capture's folder", todo=todo)
    place = folder_of(folder, IMAGE_FOLDERS)
    ends = [Path(*parts[first:]) for first in range(len(parts))]
    found = (path for end in ends for path in (place / end, folder / end) if path.is_file())
    return next(found, (place if place.is_dir() else folder) / parts[-1])


def first_of(files: Sequence[Path]) -> tuple[Path, list[str]]:
    """The file that is read of several, and a warning of the others."""
    file, *others = files
    return file, [f"{file.name} is read, not {', '.join(path.name for path in others)}"] if others else []


def size_if_there(image: Path) -> tuple[int, int]:
    """Width and height; of a photo that is not there, which is said later, anything. Raises BadInput."""
    return size_of(image) if image.is_file() else (1, 1)


def gathered(
    format_name: str,
    file: Path,
    views: Sequence[FoundView],
    wanted: Wanted,
    *,
    without_pose: int = 0,
    warnings: Sequence[str] = (),
) -> Layout:
    """A capture's files of its views, which are put into the order of their photos' names.

    file: of the cameras. without_pose: how many more photos it tells of. Raises InputMissing, naming photos that are
    not there; BadInput: too few views, two of one photo, photos outside of the capture, masks that do not pair.
    """
    folder, reading = wanted.folder, wanted.reading
    ordered = sorted(views, key=lambda view: (view.image.parent, natural(view.image)))
    if not reading.allow_outside:
        for view in ordered:
            refuse_outside(view.image, folder)
    missing = [view.image.name for view in ordered if not view.image.is_file()]
    if missing:
        why = f"{len(missing)} of {len(ordered)}: {listed(missing)}"
        todo = f"put them into {ordered[0].image.parent}, or take them out of the file"
        raise InputMissing("no such photo", where=file, why=why, todo=todo)
    if len(ordered) < wanted.fewest_views:
        why = f"{len(ordered)} photos have poses, at least {wanted.fewest_views} needed"
        raise BadInput("too few images", where=file, why=why, todo="take more photos, with more overlap")
    for one, other in pairwise(ordered):
        if one.image == other.image:
            raise BadInput("two views of one photo", where=file, why=one.image.name, todo="take one of them out")
    said = list(warnings)
    if without_pose:
        total = without_pose + len(ordered)
        said.append(f"{without_pose} of {total} photos have no pose in {file.name} and are left out")
    images = [view.image for view in ordered]
    masks = find_masks(folder, images, reading, needed=wanted.need_masks, below=_below(images))
    return Layout(format_name, file, file, images, masks, tuple(ordered), tuple(said))


def _below(images: Sequence[Path]) -> Path | None:
    """The folder above those of the photos, where there are several: masks lie in folders of the same names."""
    parents = {image.parent for image in images}
    return Path(os.path.commonpath(parents)) if len(parents) > 1 else None
