"""A capture looked at before a fit: what is wrong with which photo, also of captures that a fit would refuse."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..cameras.pinhole import transform_cameras
from ..errors import TidrError
from ..types import Cameras, Capture, CaptureReading
from .coverage import Coverage, coverage
from .formats.source import Layout, size_of
from .hulls import COARSE, Silhouettes
from .images import read_photos
from .masks import MaskReading, read_masks
from .normalise import first_guess
from .quality import ViewQuality, judged_views
from .reading import read_capture, view_names, world_cameras_of

LARGEST = 1600  # pixels of a photo's longer side, to which photos are shrunk to be looked at


@dataclass(frozen=True)
class Picture:
    """One photo (H, W, 3) uint8 and mask (H, W) bool, as far as they can be read, and what is wrong with it."""

    name: str
    photo: np.ndarray | None
    mask: np.ndarray | None
    ignored: np.ndarray | None
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """What was found. error: why a fit would refuse the capture. cameras: V, in a frame about the object, where poses
    can be read; hull (N, 3): points of its surface in that frame. quality: of a capture that is not refused."""

    layout: Layout
    pictures: list[Picture]
    notes: list[str]
    error: TidrError | None = None
    cameras: Cameras | None = None
    hull: np.ndarray | None = None
    coverage: Coverage | None = None
    quality: tuple[ViewQuality, ...] = ()


def inspected(folder: Path, layout: Layout, reading: CaptureReading) -> Inspection:
    """Raises nothing for a capture that is wrong: that is what is looked for."""
    longest = max((max(size) for image in layout.images if (size := _size(image))), default=1)
    downscale = max(1, -(-longest // LARGEST))
    try:
        capture = read_capture(folder, reading, downscale=downscale, layout=layout)
    except TidrError as error:
        return _refused(layout, reading, downscale, error)
    return _readable(layout, capture)


def hull_surface(views: Silhouettes, cameras: Cameras) -> np.ndarray:
    """Points (N, 3) on the surface of the hull that most views agree on, in the cameras' frame."""
    hull = np.pad(views.hull(cameras, COARSE).cpu().numpy(), 1)
    inside = hull.copy()
    for axis in range(3):
        inside &= np.roll(hull, 1, axis) & np.roll(hull, -1, axis)
    return (np.argwhere(hull & ~inside) - 1) * (2 / (COARSE - 1)) - 1


def _readable(layout: Layout, capture: Capture) -> Inspection:
    quality = judged_views(capture)
    ignored = capture.ignored or (None,) * len(capture)
    columns = zip(capture.names, capture.images, capture.masks, ignored, quality, strict=True)
    pictures = [
        Picture(name, image, mask, unused, (*one.findings, *_named_in(capture.warnings, name)))
        for name, image, mask, unused, one in columns
    ]
    found, notes = coverage(capture.cameras), list(capture.warnings)
    if found.one_sided:
        around = f"{found.gap:.0f} of 360 degrees around the object have no photo"
        notes.append(f"photographed from one side: {around}, its back is a guess")
    hull = hull_surface(Silhouettes(capture.masks, capture.names, capture.ignored), capture.cameras)
    return Inspection(layout, pictures, notes, None, capture.cameras, hull, found, tuple(quality))


def _refused(layout: Layout, reading: CaptureReading, downscale: int, error: TidrError) -> Inspection:
    """Photos and masks one by one, and the cameras, as far as they can be read."""
    names, masks = view_names(layout.images), layout.masks or [None] * len(layout.images)
    how = MaskReading(downscale, reading.invert_masks, reading.resize_masks)
    pictures = []
    for name, image, file in zip(names, layout.images, masks, strict=True):
        photo, mask, faults = _one(image, file, how)
        said = _named_in([str(error), *error.warnings], name)
        pictures.append(Picture(name, photo, mask, None, (*faults, *said)))
    cameras = _somewhere(layout, reading, downscale, pictures)
    found = coverage(cameras) if cameras is not None else None
    return Inspection(layout, pictures, list(error.warnings), error, cameras, None, found)


def _one(image: Path, file: Path | None, how: MaskReading) -> tuple[np.ndarray | None, np.ndarray | None, list[str]]:
    """Photo and mask as far as they can be read, and what was said of what cannot."""
    try:
        photo = read_photos([image], downscale=how.downscale)[0]
    except TidrError as error:
        return None, None, [f"{error.what}: {error.why}"]
    if file is None:
        return photo.colour, None if photo.alpha is None else photo.alpha > 127, []
    try:
        masks, _ = read_masks([file], [photo.full_size], how)
    except TidrError as error:
        return photo.colour, None, [f"{error.what}: {error.why}"]
    return photo.colour, masks[0], []


def _somewhere(layout: Layout, reading: CaptureReading, downscale: int, pictures: list[Picture]) -> Cameras | None:
    """The cameras about the object, or about where their masks look; None where they cannot be read."""
    try:
        file = world_cameras_of(layout, reading, downscale)
        T = file.T_world_normalised
        if T is None:
            masks = [picture.mask for picture in pictures if picture.mask is not None]
            whole = len(masks) == len(pictures) and all(mask.any() for mask in masks)
            if not whole:
                return None
            T = first_guess(Silhouettes(masks, [picture.name for picture in pictures]), file.cameras)
        return transform_cameras(np.linalg.inv(T), file.cameras)
    except (TidrError, np.linalg.LinAlgError):
        return None


def _named_in(texts: list[str] | tuple[str, ...], name: str) -> list[str]:
    """What texts say of a view that they name: what follows its name in a list, else their beginning."""
    word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
    own = re.compile(rf"[:,] {re.escape(name)} ((?:is|misses|shows) [^,]*)")
    named = [(text, own.search(text)) for text in texts if word.search(text)]
    return [f"its mask {said[1]}" if said else text.split(":")[0] for text, said in named]


def _size(image: Path) -> tuple[int, int] | None:
    try:
        return size_of(image)
    except TidrError:
        return None
