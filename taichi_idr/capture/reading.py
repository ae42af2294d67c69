"""From a folder to a `Capture`: photos, masks and cameras of any format, checked against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..cameras.pinhole import shrunk, transform_cameras
from ..errors import TidrError, UsageError
from ..types import Cameras, Capture, CaptureReading, DepthSource, PhotoFile
from .cut_masks import read_cut
from .depths import along_rays, read_depths, tracked_depths
from .distortion import Straightening, check_lens, resized
from .formats.catalogue import find_capture
from .formats.conventions import poses, view_cameras
from .formats.idr import FEWEST_VIEWS
from .formats.matrices import read_cameras
from .formats.source import CameraFile, FoundView, Layout, Pinhole, common_folder, size_of
from .frame import check_rounding
from .hulls import Silhouettes
from .ignored import joined, read_ignored, take_out
from .images import Photo, read_photos, summarised
from .intrinsics import check_intrinsics
from .known_exposures import read_exposures
from .looked_at import frame_looked_at, in_words
from .masks import MaskReading, bright_mask, check_masks, read_masks, threshold_mask
from .outlines import moved_to_edges
from .placing import settle_frame
from .support import read_support


def read_capture(
    folder: Path | str,
    reading: CaptureReading | None = None,
    *,
    layout: Layout | None = None,
    downscale: int = 1,
    need_masks: bool = True,
    T_world_normalised: np.ndarray | None = None,
    fewest_views: int = FEWEST_VIEWS,
    depth: DepthSource = "off",
) -> Capture:
    """Read photos, masks and cameras of a folder in one of the formats of formats/catalogue.py (docs/formats).

    Images are in natural order, masks pair with them by name, matrices by number. downscale averages photos and masks
    over blocks of pixels. Where reading names a camera file, it holds rough poses: the intrinsics come from the usual
    one, if it is there (CAM-6). need_masks: else a capture without silhouettes is all object, in the frame of its
    scale_mat or, without one, of what the cameras look at (looked_at.py). T_world_normalised (4, 4) is a frame known
    from elsewhere: it is taken as it is, whatever the file or the masks say. layout: of files that were found already,
    depth among them; depth: what is read of it otherwise.

    >>> photos = read_capture(capture, downscale=2)
    >>> len(photos), photos.images[0].shape, photos.masks[0].dtype
    (3, (16, 16, 3), dtype('bool'))

    Raises InputMissing: no folder, image/, mask/ or camera file. Raises BadInput for all that is there but wrong.
    Raises UsageError for a downscale below 1.
    """
    folder, reading = Path(folder), reading or CaptureReading()
    if downscale < 1:
        raise UsageError("bad downscale", where=f"--downscale {downscale}", why="expected 1 or more")
    layout = layout or find_capture(folder, reading, fewest_views, need_masks=need_masks, depth=depth)
    warnings = list(layout.warnings)
    try:
        return _read(layout, folder, reading, downscale, T_world_normalised, warnings)
    except TidrError as error:
        error.warnings = tuple(warnings)
        raise


def _read(
    layout: Layout,
    folder: Path,
    reading: CaptureReading,
    downscale: int,
    T_world_normalised: np.ndarray | None,
    warnings: list[str],
) -> Capture:
    """Adds to warnings, which hold what was noticed before a failure too."""
    pinholes = _own_pinholes(layout)
    bent = _straightenings(layout, pinholes)
    file = _camera_file(layout, reading, pinholes, bent)
    warnings += file.warnings
    photos = read_photos(layout.images, downscale=downscale, max_pixels=reading.max_pixels, straightened=bent)
    warnings += summarised(layout.images, [photo.remarks for photo in photos])
    how = MaskReading(downscale, reading.invert_masks, reading.resize_masks, reading.max_pixels)
    (masks, odd), names = _masks(layout, photos, how, bent), view_names(layout.images)
    masked = layout.masks != [] or layout.threshold is not None
    ignored = read_ignored(layout, [photo.full_size for photo in photos], how, bent)
    take_out(ignored, masks, layout.images)
    warnings += odd
    warnings += check_masks(names, masks, inverted=reading.invert_masks) if masked else []
    beside = folder / (reading.silhouettes or "")
    cut, support = read_cut(beside, layout.masks), read_support(beside)
    if masked and not any(cut) and support is None:  # else they have been cut, perhaps with a piece of what is below
        moved = moved_to_edges([photo.colour for photo in photos], masks, ignored)
        masks = moved.masks
        warnings += moved.lines
    in_world = shrunk(file.cameras, downscale)
    warnings += check_intrinsics(names, in_world, [mask.shape for mask in masks])
    warnings += check_rounding(in_world, single=file.single)
    if T_world_normalised is not None:
        T = T_world_normalised
    elif not masked:
        T = _unmasked_frame(file, in_world, masks, warnings)
    else:
        photographed = Silhouettes(masks, names, ignored, tuple(photo.colour for photo in photos))
        settled = settle_frame(photographed, in_world, file, warnings)
        for view in settled.inverted:
            np.logical_not(masks[view], out=masks[view])
        T, ignored = settled.T_world_normalised, joined(ignored, settled.ignored)
        take_out(ignored, masks, layout.images)
    cameras = transform_cameras(np.linalg.inv(T), in_world)
    depths = _depths(layout, folder, photos, how, bent, in_world)
    depths = along_rays(depths, masks, cameras, T, names, warnings)
    colours, files = [photo.colour for photo in photos], _photo_files(layout.images, photos)
    if support is not None:
        support = support.moved(np.linalg.inv(T))
    known = cut, read_exposures(beside, layout.images), depths
    return Capture(folder, names, colours, masks, cameras, T, tuple(warnings), files, ignored, support, *known)


def _unmasked_frame(file: CameraFile, cameras: Cameras, masks: Sequence[np.ndarray], warnings: list[str]) -> np.ndarray:
    """The file's, else what the cameras look at (4, 4). Adds to warnings. Raises BadInput."""
    if file.T_world_normalised is not None:
        return file.T_world_normalised
    T = frame_looked_at(cameras, [mask.shape for mask in masks])
    warnings.append(in_words(T))
    return T


def world_cameras_of(layout: Layout, reading: CaptureReading, downscale: int) -> CameraFile:
    """The cameras of a capture alone, for shrunk photos, world frame. Raises BadInput."""
    pinholes = _own_pinholes(layout)
    file = _camera_file(layout, reading, pinholes, _straightenings(layout, pinholes))
    return replace(file, cameras=shrunk(file.cameras, downscale))


def stored_views(layout: Layout, reading: CaptureReading) -> list[FoundView]:
    """The views of a capture of any format, world frame, with the camera of each photo as it is stored: of its own
    size, bent by its lens. Raises BadInput."""
    if layout.views:
        pairs = zip(layout.views, _own_pinholes(layout), strict=True)
        return [replace(view, pinhole=pinhole) for view, pinhole in pairs]
    cameras = read_cameras(layout, reading.normalize).cameras
    found = []
    for image, T, K in zip(layout.images, poses(cameras).tolist(), cameras.intrinsics.tolist(), strict=True):
        pinhole = Pinhole(K[0][0], K[1][1], K[0][2], K[1][2], *size_of(image), K[0][1])
        rotation, centre = (tuple(row[:3]) for row in T[:3]), (row[3] for row in T[:3])
        found.append(FoundView(image, tuple(rotation), tuple(centre), pinhole))
    return found


def view_names(images: Sequence[Path]) -> list[str]:
    """Each photo's name without suffix; with its folders in front where the same name lies in several."""
    stems = [path.stem for path in images]
    if len(set(stems)) == len(stems):
        return stems
    base = common_folder(images)
    return ["_".join(path.relative_to(base).with_suffix("").parts) for path in images]


def _photo_files(images: Sequence[Path], photos: Sequence[Photo]) -> tuple[PhotoFile, ...]:
    sizes = [photo.full_size for photo in photos]
    return tuple(PhotoFile(path.name, height, width) for path, (width, height) in zip(images, sizes, strict=True))


def _own_pinholes(layout: Layout) -> list[Pinhole]:
    """The camera of each view's photo, at the size that the photo has."""
    return [resized(view.pinhole, size_of(view.image), view.image) for view in layout.views]


def _straightenings(layout: Layout, pinholes: Sequence[Pinhole]) -> dict[Path, Straightening]:
    """Of each photo that a lens has bent, one for all of a camera. Raises BadInput where that cannot be undone."""
    found, made = {}, {}
    for view, pinhole in zip(layout.views, pinholes, strict=True):
        if view.lens.bends:
            key = view.lens, pinhole
            if key not in made:
                check_lens(view.lens, pinhole, f"{layout.cameras}: {view.image.name}")
                made[key] = Straightening(view.lens, pinhole)
            found[view.image] = made[key]
    return found


def _camera_file(
    layout: Layout, reading: CaptureReading, pinholes: Sequence[Pinhole], bent: Mapping[Path, Straightening]
) -> CameraFile:
    """Cameras for the photos as they will be: of their own size, straightened."""
    if not layout.views:
        return read_cameras(layout, reading.normalize)
    warnings = []
    pairs = [(view.pinhole, own) for view, own in zip(layout.views, pinholes, strict=True)]
    scaled = [(told, own) for told, own in pairs if own.width != told.width]
    if scaled:
        told, own = scaled[0]
        text = f"photos of {own.width}x{own.height} for cameras of {told.width}x{told.height}"
        warnings.append(f"{text}: the intrinsics are scaled ({len(scaled)} of {len(layout.views)} views)")
    if bent:
        warnings.append(f"lens distortion is removed from {len(bent)} of {len(layout.views)} photos")
    straight = [
        bent[view.image].straight if view.image in bent else own
        for view, own in zip(layout.views, pinholes, strict=True)
    ]
    return CameraFile(view_cameras(layout.views, straight, layout.cameras), None, warnings)


def _depths(
    layout: Layout,
    folder: Path,
    photos: Sequence[Photo],
    how: MaskReading,
    bent: Mapping[Path, Straightening],
    in_world: Cameras,
) -> tuple[np.ndarray | None, ...]:
    """Along the optical axis, world units."""
    if layout.points:
        return tracked_depths(layout.points, layout.images, in_world, [photo.colour.shape[:2] for photo in photos])
    return read_depths(layout, folder, [photo.full_size for photo in photos], how, bent)


def _masks(
    layout: Layout, photos: Sequence[Photo], how: MaskReading, bent: Mapping[Path, Straightening]
) -> tuple[list[np.ndarray], list[str]]:
    """And warnings about them."""
    if layout.threshold is not None:
        return [bright_mask(photo.colour, layout.threshold) for photo in photos], []
    if layout.masks == []:
        return [np.ones(photo.colour.shape[:2], bool) for photo in photos], []
    if layout.masks is not None:
        lenses = {mask: bent[image] for mask, image in zip(layout.masks, layout.images, strict=True) if image in bent}
        return read_masks(layout.masks, [photo.full_size for photo in photos], how, lenses)
    at_hand = MaskReading(1, how.invert)  # alpha has been averaged with its photo
    return [threshold_mask(Image.fromarray(photo.alpha), at_hand) for photo in photos if photo.alpha is not None], []
