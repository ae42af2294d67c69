"""Lens distortion, removed once when a capture is read: the photos that are fitted are those of a pinhole camera.

The models are OpenCV's (Brown's radial and tangential terms, and the fisheye polynomial in the angle), which COLMAP and
nerfstudio use too. Only the way from straight to bent is needed: a straight photo's pixel is looked up where the lens
had bent it. What of the straight photo no pixel of the bent one shows is to be ignored: nothing is invented.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

from ..errors import BadInput
from .formats.source import Lens, Pinhole

RADII = 400  # of the check that a lens bends no two rays into one
ZOOMS = 40  # halvings of the search for the least zoom
LEAST_ZOOM = 0.5
UNBENDINGS = 20  # of a fixed point


@dataclass(frozen=True)
class Straightening:
    """From photos bent by `lens` to those of a pinhole camera."""

    lens: Lens
    bent: Pinhole

    @cached_property
    def straight(self) -> Pinhole:
        """The camera of straightened photos: of the same size and centre, and of the least zoom, from 0.5 to 1, at
        which no pixel looks past the bent photo; of the bent one's where there is none (`unseen` then says which)."""
        low, high = LEAST_ZOOM, 1.0
        if self._fits(low):
            return self._zoomed(low)
        if not self._fits(high):
            return self.bent
        for _ in range(ZOOMS):
            middle = (low + high) / 2
            low, high = (low, middle) if self._fits(middle) else (middle, high)
        return self._zoomed(high)

    @cached_property
    def unseen(self) -> np.ndarray:
        """Pixels (H, W) of the straight photo that look past the bent one."""
        pixels = np.meshgrid(np.arange(self.bent.width), np.arange(self.bent.height))
        return ~self._inside(*self._sources(*pixels))

    def image(self, bent: Image.Image) -> Image.Image:
        """The straight photo or mask, of the same mode; bilinear."""
        values = np.asarray(bent)
        column, row = self._sources(*np.meshgrid(np.arange(self.bent.width), np.arange(self.bent.height)))
        layers = values[..., None] if values.ndim == 2 else values
        found = [
            map_coordinates(layers[..., k].astype(np.float32), (row, column), order=1, mode="nearest")
            for k in range(layers.shape[2])
        ]
        whole = np.rint(np.stack(found, axis=-1)).astype(values.dtype)
        return Image.fromarray(whole[..., 0] if values.ndim == 2 else whole)

    def nearest(self, bent: np.ndarray) -> np.ndarray:
        """What (H, W) of the bent photo is nearest to each pixel of the straight one; 0 past it."""
        column, row = self._sources(*np.meshgrid(np.arange(self.bent.width), np.arange(self.bent.height)))
        inside = self._inside(column, row)
        column, row = (np.where(inside, place, 0).round().astype(np.intp) for place in (column, row))
        height, width = bent.shape
        return np.where(inside, bent[row.clip(0, height - 1), column.clip(0, width - 1)], 0)

    def straightened(self, places: np.ndarray) -> np.ndarray:
        """Places (..., 2) of the bent photo, column and row, in the straight one."""
        bent, straight = self.bent, self.straight
        down = (places[..., 1] - bent.cy) / bent.fy
        x, y = unbent(self.lens, (places[..., 0] - bent.cx - bent.skew * down) / bent.fx, down)
        return np.stack([straight.fx * x + straight.skew * y + straight.cx, straight.fy * y + straight.cy], axis=-1)

    def _zoomed(self, zoom: float) -> Pinhole:
        fx, fy, skew = (value * zoom for value in (self.bent.fx, self.bent.fy, self.bent.skew))
        return replace(self.bent, fx=fx, fy=fy, skew=skew)

    def _fits(self, zoom: float) -> bool:
        """Whether the rim of the straight photo, and so all of it, looks into the bent one."""
        width, height = self.bent.width, self.bent.height
        across, down = np.arange(width), np.arange(height)
        u = np.concatenate([across, across, 0 * down, 0 * down + width - 1])
        v = np.concatenate([0 * across, 0 * across + height - 1, down, down])
        return bool(self._inside(*self._sources(u, v, self._zoomed(zoom))).all())

    def _inside(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Whether the bent photo has these places; NaN is no place."""
        across = (column >= -0.5) & (column <= self.bent.width - 0.5)
        return across & (row >= -0.5) & (row <= self.bent.height - 0.5)

    def _sources(self, u: np.ndarray, v: np.ndarray, straight: Pinhole | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Column and row in the bent photo of pixels u, v of the straight one."""
        camera = straight or self.straight
        down = (v - camera.cy) / camera.fy
        x, y = distorted(self.lens, (u - camera.cx - camera.skew * down) / camera.fx, down)
        return self.bent.fx * x + self.bent.skew * y + self.bent.cx, self.bent.fy * y + self.bent.cy


def distorted(lens: Lens, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a lens bends rays (x, y, 1) to: on the plane at distance one (OpenCV, "Camera calibration")."""
    square = x * x + y * y
    if lens.fisheye:
        radius = np.sqrt(square)
        angle = np.arctan(radius)
        bent = angle * _polynomial(angle * angle, lens.coefficients)
        factor = np.where(radius > 1e-9, bent / np.maximum(radius, 1e-9), 1.0)
        return x * factor, y * factor
    k1, k2, p1, p2, k3, k4, k5, k6, eighth = (*lens.coefficients, *[0.0] * 9)[:9]
    radial = _polynomial(square, (k1, k2, k3, eighth)) / _polynomial(square, (k4, k5, k6))
    bent_x = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    bent_y = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return bent_x, bent_y


def resized(told: Pinhole, size: tuple[int, int], photo: Path) -> Pinhole:
    """The camera of photos of that width and height, shrunk or enlarged evenly. Raises BadInput where they were not."""
    if size == (told.width, told.height):
        return told
    factor = size[0] / told.width
    if abs(size[1] - factor * told.height) > 1.0:
        why = f"{size[0]}x{size[1]} pixels, its camera has {told.width}x{told.height}"
        raise BadInput("camera of another size", where=photo, why=why, todo="use the photos that the cameras are of")
    cx, cy = ((centre + 0.5) * factor - 0.5 for centre in (told.cx, told.cy))
    return Pinhole(told.fx * factor, told.fy * factor, cx, cy, *size, skew=told.skew * factor)


def check_lens(lens: Lens, camera: Pinhole, where: str) -> None:
    """Raises BadInput where a lens bends two rays of a photo into one: its model holds for no such photo."""
    sides = (
        max(camera.cx, camera.width - camera.cx) / camera.fx,
        max(camera.cy, camera.height - camera.cy) / camera.fy,
    )
    corner = float(np.hypot(*sides))
    radius = np.linspace(0, corner, RADII)
    bent, _ = distorted(replace(lens, coefficients=lens.radial), radius, np.zeros_like(radius))
    if not (np.isfinite(bent).all() and (np.diff(bent) > 0).all()):
        why = f"{lens.coefficients} bends two rays of a photo into one"
        raise BadInput("distortion cannot be removed", where=where, why=why, todo="calibrate again")


def _polynomial(s: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """1 + k1 s + k2 s^2 + ..."""
    value = np.zeros_like(s)
    for k in reversed(coefficients):
        value = (value + k) * s
    return 1 + value


def unbent(lens: Lens, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rays (x, y, 1) that a lens bends to these, by a fixed point."""
    if not lens.bends:
        return x, y
    straight = x, y
    for _ in range(UNBENDINGS):
        bent = distorted(lens, *straight)
        straight = straight[0] + x - bent[0], straight[1] + y - bent[1]
    return straight
