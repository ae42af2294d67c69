"""Plain backgrounds, paper, a black cloth, a green screen: what differs from them is the object, or its shadow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from skimage.measure import label

from .small_photos import SmallPhoto
from .table import lab_of

RING = 0.03  # of the shorter side: the border, which shows the background
PLAIN, MOST_ODD = 4.0, 0.25
"""CIELAB, from the smooth colour of the border, within which its pixels are plain; share of them that may be odd, since
the object or its stand reaches there."""
PLAIN_SHARE = 0.8  # of the photos, for what is behind the object to be a backdrop
ALIKE, LEAST_ALIKE = 3.0, 1.5  # of the plain border's usual distance, and CIELAB: what looks like the background
FITS = 10  # of the smooth colour, what is odd counting less and less
SHADE = 0.35  # weight of brightness in what is darker than the backdrop: shadows are
LEAST_LIGHT = 5.0  # CIELAB lightness below which nothing darkens


def backdrop_differences(photos: Sequence[SmallPhoto]) -> list[np.ndarray] | None:
    """V of (h, w) float32: distance in CIELAB from the plain background of each photo; NaN where it is not known: in
    the object, where what looks like the background is not joined to it. None where photos have no such background.

    Lighting may vary over a photo, slowly. What is only darker counts less: it may be a shadow.
    """
    found = [_difference(lab_of(photo.colour)) for photo in photos]
    plain = [away for away in found if away is not None]
    if len(plain) < PLAIN_SHARE * len(photos):
        return None
    unknown = [np.full(photo.shape, np.nan, np.float32) for photo in photos]
    return [other if away is None else away for away, other in zip(found, unknown, strict=True)]


def _difference(lab: np.ndarray) -> np.ndarray | None:
    """None where the border is not plain."""
    height, width = lab.shape[:2]
    ring = np.ones((height, width), bool)
    edge = max(2, round(RING * min(height, width)))
    ring[edge:-edge, edge:-edge] = False
    smooth = _slow(height, width)
    on, border = smooth[ring], lab[ring]
    away = np.linalg.norm(border - np.median(border, axis=0), axis=1)
    for _ in range(FITS):
        weight = (1 / (1 + away / LEAST_ALIKE))[:, None]
        factors = np.linalg.lstsq(weight * on, weight * border, rcond=None)[0]
        away = np.linalg.norm(border - on @ factors, axis=1)
    plain = away < PLAIN
    if plain.mean() < 1 - MOST_ODD:
        return None
    usual = float(np.median(away[plain]))
    away = _without_shade(lab, smooth @ factors)
    like = away < max(LEAST_ALIKE, ALIKE * usual)
    labels = np.asarray(label(like, connectivity=1))
    joined = np.isin(labels, np.setdiff1d(labels[ring & like], 0))
    return np.where(like & ~joined, np.nan, away).astype(np.float32)


def _slow(height: int, width: int) -> np.ndarray:
    """(h, w, 6): terms of a quadratic over a photo."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2)


def _without_shade(lab: np.ndarray, backdrop: np.ndarray) -> np.ndarray:
    """Distances (h, w); a backdrop in shade keeps its hue, and its colour fades with its brightness."""
    light = np.clip(lab[..., 0] / np.maximum(backdrop[..., 0], LEAST_LIGHT), 0, 1)
    darker = np.minimum(lab[..., 0] - backdrop[..., 0], 0)
    brighter = np.maximum(lab[..., 0] - backdrop[..., 0], 0)
    hue = lab[..., 1:] - backdrop[..., 1:] * light[..., None]
    return np.sqrt((SHADE * darker) ** 2 + brighter**2 + (hue**2).sum(axis=2))
