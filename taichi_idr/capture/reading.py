"""From a folder to a `Capture`: photos, masks and cameras of the IDR and NeuS formats, checked against each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..cameras.pinhole import shrunk, transform_cameras
from ..errors import BadInput, UsageError
from ..types import Capture, CaptureReading, PhotoFile
from .formats.idr import FEWEST_VIEWS, find_files
from .formats.matrices import read_cameras
from .formats.source import Layout
from .images import MAX_PIXELS, Photo, read_photos, summarised
from .intrinsics import check_intrinsics
from .masks import MaskReading, check_masks, read_masks, threshold_mask
from .normalise import check_frame, find_object


def read_capture(
    folder: Path | str,
    reading: CaptureReading | None = None,
    *,
    downscale: int = 1,
    need_masks: bool = True,
    T_world_normalised: np.ndarray | None = None,
    fewest_views: int = FEWEST_VIEWS,
    max_pixels: int = MAX_PIXELS,
) -> Capture:
    """Read image/, mask/ and cameras.npz or cameras_sphere.npz of a folder (docs/formats).

    Images are in natural order, masks pair with them by name, matrices by number. downscale averages photos and masks
    over blocks of pixels. Where reading names a camera file, it holds rough poses: the intrinsics come from the usual
    one, if it is there (CAM-6). need_masks: else a capture without silhouettes is all object, in the frame of its
    scale_mat. T_world_normalised (4, 4) is a frame known from elsewhere: it is taken as it is, whatever the file or the
    masks say.

    >>> photos = read_capture(capture, downscale=2)
    >>> len(photos), photos.images[0].shape, photos.masks[0].dtype
    (3, (16, 16, 3), dtype('bool'))

    Raises InputMissing: no folder, image/, mask/ or camera file. Raises BadInput for all that is there but wrong.
    Raises UsageError for a downscale below 1.
    """
    folder, reading = Path(folder), reading or CaptureReading()
    if downscale < 1:
        raise UsageError("bad downscale", where=f"--downscale {downscale}", why="expected 1 or more")
    layout = find_files(folder, reading, fewest_views, need_masks=need_masks)
    file = read_cameras(layout, reading.normalize)
    photos = read_photos(layout.images, downscale=downscale, max_pixels=max_pixels)
    masks, names = _masks(layout, photos, reading, downscale, max_pixels), [path.stem for path in layout.images]
    masked = layout.masks != []
    warnings = [*file.warnings, *summarised(layout.images, [photo.remarks for photo in photos])]
    warnings += check_masks(names, masks, inverted=reading.invert_masks) if masked else []
    in_world = shrunk(file.cameras, downscale)
    warnings += check_intrinsics(names, in_world, [mask.shape for mask in masks])
    T = file.T_world_normalised if T_world_normalised is None else T_world_normalised
    if T is None and not masked:
        why, todo = "without masks the object cannot be found", "add scale_mat_i to the camera file, or masks"
        raise BadInput("no frame", where=layout.cameras, why=why, todo=todo)
    T = find_object(masks, in_world, names) if T is None else T
    cameras = transform_cameras(np.linalg.inv(T), in_world)
    if T_world_normalised is None and masked:
        warnings += check_frame(masks, cameras, names, found=file.T_world_normalised is None)
    colours = [photo.colour for photo in photos]
    return Capture(folder, names, colours, masks, cameras, T, tuple(warnings), _photo_files(layout.images, photos))


def _photo_files(images: Sequence[Path], photos: Sequence[Photo]) -> tuple[PhotoFile, ...]:
    sizes = [photo.full_size for photo in photos]
    return tuple(PhotoFile(path.name, height, width) for path, (width, height) in zip(images, sizes, strict=True))


def _masks(
    layout: Layout, photos: Sequence[Photo], reading: CaptureReading, downscale: int, max_pixels: int
) -> list[np.ndarray]:
    if layout.masks == []:
        return [np.ones(photo.colour.shape[:2], bool) for photo in photos]
    if layout.masks is not None:
        how = MaskReading(downscale, reading.invert_masks, reading.resize_masks, max_pixels)
        return read_masks(layout.masks, [photo.full_size for photo in photos], how)
    at_hand = MaskReading(1, reading.invert_masks)  # alpha has been averaged with its photo
    return [threshold_mask(Image.fromarray(photo.alpha), at_hand) for photo in photos if photo.alpha is not None]
