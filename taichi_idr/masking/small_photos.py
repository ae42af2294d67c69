"""The photos as masks are cut from them: straightened, of a size that one cut takes a tenth of a second for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

from ..cameras.pinhole import transform_cameras
from ..capture.distortion import Straightening, unbent
from ..capture.formats.conventions import view_cameras
from ..capture.formats.source import FoundView, Pinhole
from ..capture.images import decode_all, on_white, opened
from ..structure.model import Structure
from ..types import Cameras

LONGER_SIDE = 480


@dataclass(frozen=True)
class SmallPhoto:
    """colour (h, w, 3) uint8, of the camera `pinhole`; view: of the photo in full."""

    view: FoundView
    colour: np.ndarray
    pinhole: Pinhole

    @property
    def shape(self) -> tuple[int, int]:
        return self.colour.shape[0], self.colour.shape[1]

    @cached_property
    def K(self) -> np.ndarray:
        p = self.pinhole
        return np.array([[p.fx, p.skew, p.cx], [0, p.fy, p.cy], [0, 0, 1]])

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Column and row (N, 2) of points (N, 3) of the world, and their depth along the axis (N,)."""
        seen = (points - self.view.centre) @ np.array(self.view.rotation)
        depth = seen[:, 2]
        place = seen @ self.K.T
        return place[:, :2] / np.where(np.abs(depth) > 1e-12, depth, 1e-12)[:, None], depth

    def colours_at(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) in [0, 1]: what the photo shows at points (N, 3) of the world that fall on it."""
        places, _ = self.project(points)
        where = places.T[::-1]
        channels = [
            map_coordinates(self.colour[..., k] / np.float32(255), where, order=1, mode="nearest") for k in range(3)
        ]
        return np.stack(channels, axis=1)

    def in_full(self, mask: np.ndarray) -> np.ndarray:
        """A soft mask (h, w) in [0, 1] at the places of the photo in full, bent as it is: (H, W) float32."""
        full, small = self.view.pinhole, self.pinhole
        x, y = np.meshgrid(np.arange(full.width), np.arange(full.height))
        x, y = (x - full.cx) / full.fx, (y - full.cy) / full.fy
        x, y = unbent(self.view.lens, x, y)
        places = (small.fy * y + small.cy, small.fx * x + small.cx)
        return map_coordinates(mask.astype(np.float32), places, order=1, mode="nearest")


def small_photos(structure: Structure, longer_side: int = LONGER_SIDE) -> list[SmallPhoto]:
    """Of all views. longer_side: pixels, at most. Raises BadInput, naming a file that cannot be decoded."""
    views = {view.image: view for view in structure.views}
    return decode_all(lambda path: _small(views[path], longer_side), list(views))


def seen_from(photos: Sequence[SmallPhoto], structure: Structure) -> list[SmallPhoto]:
    """The same photos in the world of a structure that has been moved."""
    return [replace(photo, view=view) for photo, view in zip(photos, structure.views, strict=True)]


def cameras_of(photos: Sequence[SmallPhoto], T_region_world: np.ndarray) -> Cameras:
    """Of small photos (float64), camera -> region."""
    where = photos[0].view.image.parent
    in_world = view_cameras([photo.view for photo in photos], [photo.pinhole for photo in photos], where)
    return transform_cameras(T_region_world, in_world)


def _small(view: FoundView, longer_side: int) -> SmallPhoto:
    full = view.pinhole
    with opened(view.image) as image:
        colour, _ = on_white(image)
    factor = min(1.0, longer_side / max(full.width, full.height))
    size = round(full.width * factor), round(full.height * factor)
    colour = colour.resize(size, Image.Resampling.BOX, reducing_gap=2.0) if factor < 1 else colour
    across, down = size[0] / full.width, size[1] / full.height
    bent = Pinhole(
        full.fx * across, full.fy * down, (full.cx + 0.5) * across - 0.5, (full.cy + 0.5) * down - 0.5, *size
    )
    if not view.lens.bends:
        return SmallPhoto(view, np.asarray(colour), bent)
    straightening = Straightening(view.lens, bent)
    return SmallPhoto(view, np.asarray(straightening.image(colour)), straightening.straight)
