"""From a folder to a `Capture`: photos, masks and cameras of the IDR and NeuS formats, checked against each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..cameras.pinhole import cameras_from_projections, shrunk, transform_cameras
from ..errors import BadInput, InputMissing, UsageError
from ..types import Cameras, Capture, PhotoFile
from .formats.idr import normalised_frame, read_matrices
from .images import MAX_PIXELS, Photo, list_images, read_photos, summarised
from .intrinsics import check_intrinsics
from .masks import MaskReading, check_masks, read_masks, threshold_mask
from .normalise import check_frame, find_object

CAMERA_FILES = ("cameras.npz", "cameras_sphere.npz")
ROUGH_CAMERAS = "cameras_linear_init.npz"
FEWEST_VIEWS = 3


@dataclass(frozen=True)
class _Layout:
    """The files of a capture. `masks` is None where photos carry their silhouette as alpha."""

    cameras: Path
    intrinsics: Path
    images: list[Path]
    masks: list[Path] | None


@dataclass(frozen=True)
class _CameraFile:
    """`cameras` in the world frame, for photos of full size; T_world_normalised is None where it must be found."""

    cameras: Cameras
    T_world_normalised: np.ndarray | None
    warnings: list[str]


def read_capture(
    folder: Path | str,
    *,
    downscale: int = 1,
    normalize: bool = False,
    invert_masks: bool = False,
    resize_masks: bool = False,
    cameras_file: str | None = None,
    T_world_normalised: np.ndarray | None = None,
    fewest_views: int = FEWEST_VIEWS,
    max_pixels: int = MAX_PIXELS,
) -> Capture:
    """Read image/, mask/ and cameras.npz or cameras_sphere.npz of a folder (docs/formats).

    Images and masks are sorted by name and paired by position. downscale averages photos and masks over blocks of
    pixels; normalize finds the object from the masks instead of trusting scale_mat. cameras_file, a path from the
    folder, holds rough poses: the intrinsics then come from the usual one, if it is there (CAM-6). T_world_normalised
    (4, 4) is a frame known from elsewhere: it is taken as it is, whatever the file or the masks say.

    Raises InputMissing: no folder, image/, mask/ or camera file. Raises BadInput for all that is there but wrong.
    Raises UsageError for a downscale below 1.
    """
    folder = Path(folder)
    if downscale < 1:
        raise UsageError("bad downscale", where=f"--downscale {downscale}", why="expected 1 or more")
    layout = _find_files(folder, cameras_file, fewest_views)
    file = _read_cameras(layout, normalize)
    photos = read_photos(layout.images, downscale=downscale, max_pixels=max_pixels)
    reading = MaskReading(downscale, invert_masks, resize_masks, max_pixels)
    masks, names = _masks(layout, photos, reading), [path.stem for path in layout.images]
    warnings = [*file.warnings, *summarised(layout.images, [photo.remarks for photo in photos])]
    warnings += check_masks(names, masks, inverted=invert_masks)
    in_world = shrunk(file.cameras, downscale)
    warnings += check_intrinsics(names, in_world, [mask.shape for mask in masks])
    T, found = T_world_normalised, file.T_world_normalised is None
    if T is None:
        T = find_object(masks, in_world, names) if file.T_world_normalised is None else file.T_world_normalised
    cameras = transform_cameras(np.linalg.inv(T), in_world)
    if T_world_normalised is None:
        warnings += check_frame(masks, cameras, names, found=found)
    colours = [photo.colour for photo in photos]
    return Capture(folder, names, colours, masks, cameras, T, tuple(warnings), _photo_files(layout.images, photos))


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


def _find_files(folder: Path, cameras_file: str | None, fewest_views: int) -> _Layout:
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
    return _Layout(cameras, usual if usual.is_file() else cameras, images, _find_masks(folder / "mask", images))


def _photo_files(images: Sequence[Path], photos: Sequence[Photo]) -> tuple[PhotoFile, ...]:
    sizes = [photo.full_size for photo in photos]
    return tuple(PhotoFile(path.name, height, width) for path, (width, height) in zip(images, sizes, strict=True))


def _find_masks(folder: Path, images: Sequence[Path]) -> list[Path] | None:
    if not folder.is_dir() and all(_has_alpha(path) for path in images):
        return None
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


def _has_alpha(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return "A" in image.getbands()
    except Exception:  # what is wrong with the file is said when it is decoded
        return False


def _masks(layout: _Layout, photos: Sequence[Photo], reading: MaskReading) -> list[np.ndarray]:
    if layout.masks is not None:
        return read_masks(layout.masks, [photo.full_size for photo in photos], reading)
    at_hand = MaskReading(1, reading.invert)  # alpha has been averaged with its photo
    return [threshold_mask(Image.fromarray(photo.alpha), at_hand) for photo in photos if photo.alpha is not None]


def _read_cameras(layout: _Layout, normalize: bool) -> _CameraFile:
    count, path = len(layout.images), layout.cameras
    world_mats, scale_mats = read_matrices(path, count)
    T, warnings = (None, []) if normalize else normalised_frame(path, scale_mats, count)
    cameras = cameras_from_projections(world_mats[:, :3])
    if layout.intrinsics != path:
        usual = cameras_from_projections(read_matrices(layout.intrinsics, count)[0][:, :3])
        cameras = Cameras(cameras.quaternions, cameras.centres, usual.intrinsics)
    return _CameraFile(cameras, T, warnings)
