"""On which side of a surface the open is: from where its points can be seen.

Looked at from many directions, a point whose neighbours do not hide it turns its outside that way: a scanner knows its
normals' signs for the same reason. Holes do little harm: what is seen through one comes from few directions.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter

DIRECTIONS = 96
FINEST = 2 / 512  # normalised units: least pixel of a view
COARSER = 0.7  # pixels of the usual spacing between points
WIDEST = 6  # octaves of pixels that a point covers
BEHIND = 2.5  # deviations of noise by which a point may lie behind what is in front of it
STEEPEST = 0.2  # cosine below which a surface counts as no steeper


def openness(points: np.ndarray, normals: np.ndarray, spacing: np.ndarray, noise: float) -> np.ndarray:
    """How much more a point is seen from the side of its normal than from the other: (N,) in about [-1, 1].

    points (N, 3) in [-1, 1]^3; normals (N, 3) with either sign; spacing (N,) between points; noise: of the points.
    """
    pixel = max(FINEST, COARSER * float(np.median(spacing)))
    octave = np.clip(np.rint(np.log2(np.maximum(1.5 * spacing / pixel, 1))), 0, WIDEST).astype(int)
    total = np.zeros(len(points), np.float32)
    for direction in _all_around(DIRECTIONS):
        cosine = (normals @ direction).astype(np.float32)
        slope = np.sqrt(np.maximum(1 - cosine**2, 0)) / np.maximum(np.abs(cosine), STEEPEST)
        slack = BEHIND * noise + pixel * (0.5 + 2.0**octave) * slope
        total += np.where(_hidden_by(points, direction, pixel, octave) <= slack, cosine * np.abs(cosine), 0)
    return total * (6 / DIRECTIONS)  # a point seen from one whole side has 1


def _hidden_by(points: np.ndarray, direction: np.ndarray, pixel: float, octave: np.ndarray) -> np.ndarray:
    """How far (N,) each point lies behind the foremost one in its pixel, seen from far away in a direction."""
    across = np.cross(direction, np.eye(3)[np.abs(direction).argmin()])
    across /= np.linalg.norm(across)
    half = int(np.ceil(np.sqrt(3) / pixel)) + 1
    row, column = (
        np.rint(points @ axis / pixel).astype(np.int64) + half for axis in (across, np.cross(direction, across))
    )
    height = (points @ direction).astype(np.float32)
    front = np.full((2 * half + 1,) * 2, -2.0, np.float32)
    for level in np.unique(octave):
        chosen = octave == level
        own = np.full_like(front, -2.0)
        np.maximum.at(own, (row[chosen], column[chosen]), height[chosen])
        np.maximum(front, maximum_filter(own, 2 * 2**level - 1), out=front)
    return front[row, column] - height


def _all_around(count: int) -> np.ndarray:
    """Unit directions (count, 3), evenly on the sphere (Fibonacci's lattice)."""
    number = np.arange(count) + 0.5
    z = 1 - 2 * number / count
    angle = np.pi * (1 + np.sqrt(5)) * number
    return np.stack([np.sqrt(1 - z**2) * np.cos(angle), np.sqrt(1 - z**2) * np.sin(angle), z], axis=1)
