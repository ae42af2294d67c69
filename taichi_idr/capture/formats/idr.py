"""The IDR and NeuS formats: `image/`, `mask/` and `cameras.npz`, whose matrices are read by matrices.py.

Finding the files needs neither torch nor numpy, which take a while to import: what is missing is said at once.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import BadInput, InputMissing
from ...types import CaptureReading
from .pairing import find_masks
from .source import IMAGE_FOLDERS, Layout, folder_of, list_images

FORMAT = "IDR"
CAMERA_FILES = ("cameras.npz", "cameras_sphere.npz")
ROUGH_CAMERAS = "cameras_linear_init.npz"
FEWEST_VIEWS = 3


def recognised(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (*CAMERA_FILES, ROUGH_CAMERAS))


def find_files(
    folder: Path, reading: CaptureReading, fewest_views: int = FEWEST_VIEWS, *, need_masks: bool = True
) -> Layout:
    """Where the files of a capture are, read in that way.

    Raises InputMissing: no photos' or masks' folder, no camera file; BadInput: too few photos, masks that do
    not pair with them, links out of the capture.
    """
    inside = None if reading.allow_outside else folder
    place = folder_of(folder, IMAGE_FOLDERS)
    images = list_images(place, "image", inside=inside)
    if len(images) < fewest_views:
        what = "too few images" if images else "no images"
        why = f"{len(images)} found, at least {fewest_views} needed"
        raise BadInput(what, where=place, why=why, todo="add PNG or JPEG files")
    usual = next((folder / name for name in CAMERA_FILES if (folder / name).exists()), folder / CAMERA_FILES[0])
    cameras = folder / reading.cameras_file if reading.cameras_file else usual
    if not cameras.is_file():
        raise InputMissing(
            "no camera file",
            where=cameras,
            todo="add it, in the IDR or NeuS format, or cameras of another format that is read (docs/formats.md)",
        )
    masks = find_masks(folder, images, reading, needed=need_masks)
    return Layout(FORMAT, cameras, usual if usual.is_file() else cameras, images, masks)


def poses_file(folder: Path, chosen: Path | None, *, train: bool) -> str | None:
    """The `cameras_file` of `read_capture` for a fit; None is the usual file.

    chosen: a file in the folder or, where there is none of that name, a path. Unless one is chosen, poses that will be
    trained start from rough ones where the folder has them. Raises InputMissing.
    """
    if chosen is None:
        return ROUGH_CAMERAS if train and (folder / ROUGH_CAMERAS).is_file() else None
    found = next((path for path in (folder / chosen, chosen) if path.is_file()), None)
    if found is None:
        why = f"neither in {folder} nor by itself is there such a file"
        raise InputMissing("no camera file", where=chosen, why=why, todo="name a file in the IDR or NeuS format")
    found, folder = found.resolve(), folder.resolve()
    return str(found.relative_to(folder) if found.is_relative_to(folder) else found)
