"""The IDR and NeuS formats: `image/`, `mask/` and `cameras.npz`, whose matrices are read by matrices.py.

Finding the files needs neither torch nor numpy, which take a while to import: what is missing is said at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import BadInput, InputMissing
from .source import Layout, has_alpha, list_images

CAMERA_FILES = ("cameras.npz", "cameras_sphere.npz")
ROUGH_CAMERAS = "cameras_linear_init.npz"
FEWEST_VIEWS = 3


def find_files(
    folder: Path, cameras_file: str | None = None, fewest_views: int = FEWEST_VIEWS, *, need_masks: bool = True
) -> Layout:
    """Where the files of a capture are. cameras_file: of other poses than the usual file's, a path from the folder.

    Raises InputMissing: no folder, no photos' or masks' folder, no camera file; BadInput: too few photos, masks that do
    not pair with them.
    """
    if not folder.is_dir():
        why = "it is a file" if folder.exists() else "there is no such folder"
        todo = "name a folder that holds image/, mask/ and cameras.npz"
        raise InputMissing("no capture", where=folder, why=why, todo=todo)
    images = list_images(folder / "image", "image")
    if len(images) < fewest_views:
        what = "too few images" if images else "no images"
        why = f"{len(images)} found, at least {fewest_views} needed"
        raise BadInput(what, where=folder / "image", why=why, todo="add PNG or JPEG files")
    usual = next((folder / name for name in CAMERA_FILES if (folder / name).exists()), folder / CAMERA_FILES[0])
    cameras = folder / cameras_file if cameras_file else usual
    if not cameras.is_file():
        raise InputMissing("no camera file", where=cameras, todo="add it, in the IDR or NeuS format")
    masks = _find_masks(folder / "mask", images, need_masks)
    return Layout(cameras, usual if usual.is_file() else cameras, images, masks)


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


def _find_masks(folder: Path, images: Sequence[Path], needed: bool) -> list[Path] | None:
    if not folder.is_dir() and all(has_alpha(path) for path in images):
        return None
    if not folder.is_dir() and not needed:
        return []
    masks = list_images(folder, "mask")
    if len(masks) == len(images):
        return masks
    lacking = [path.name for path in images if _number(path) not in {_number(mask) for mask in masks}]
    why = f"{len(masks)} masks for {len(images)} images"
    if lacking and len(masks) < len(images):
        why += f", none for {', '.join(lacking[:5])}{' ...' if len(lacking) > 5 else ''}"
    raise BadInput("masks and images do not pair", where=folder, why=why, todo="give each image one mask")


def _number(path: Path) -> str:
    """What pairs `image/000007.png` and `mask/007.png`: the last number in the name, or the name."""
    digits = re.findall(r"\d+", path.stem)
    return str(int(digits[-1])) if digits else path.stem
