"""From where an object was photographed: directions around it, and the largest gap between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..cameras.rotations import rotation_matrices
from ..types import Cameras

ONE_SIDED = 150.0
"""Degrees around the object without a photo above which it was seen from one side only."""
UPRIGHT = 0.3  # length of the mean of the photos' up directions, below which they tell no common one
NEAR = 45.0  # degrees from a camera within which a direction counts as photographed
DIRECTIONS = 2000


@dataclass(frozen=True)
class Coverage:
    """Directions from the object to V cameras, degrees: azimuth (V,) around the upright axis, elevation (V,) above the
    horizon. gap, gap_middle: the widest part of the horizon without a photo. seen: share of all directions that are
    near a camera's."""

    azimuth: np.ndarray
    elevation: np.ndarray
    gap: float
    gap_middle: float
    seen: float

    @property
    def one_sided(self) -> bool:
        return self.gap > ONE_SIDED


def coverage(cameras: Cameras) -> Coverage:
    """Of cameras in the normalised frame, whose origin is the object's middle."""
    towards = cameras.centres.numpy() / np.linalg.norm(cameras.centres.numpy(), axis=1, keepdims=True)
    axes = _upright_axes(cameras, towards)
    x, y, z = (towards @ axes.T).T
    azimuth = np.rad2deg(np.arctan2(y, x)) % 360
    order = np.sort(azimuth)
    gaps = np.diff([*order, order[0] + 360])
    widest = int(np.argmax(gaps))
    middle = float((order[widest] + gaps[widest] / 2) % 360)
    near = (_even_directions() @ towards.T).max(axis=1) > np.cos(np.deg2rad(NEAR))
    return Coverage(azimuth, np.rad2deg(np.arcsin(np.clip(z, -1, 1))), float(gaps[widest]), middle, float(near.mean()))


def _upright_axes(cameras: Cameras, towards: np.ndarray) -> np.ndarray:
    """Rows x, y, z: z is up as most photos have it, else the axis around which the cameras stand."""
    up = -rotation_matrices(cameras.quaternions).numpy()[:, :, 1].mean(axis=0)
    if np.linalg.norm(up) < UPRIGHT:
        up = np.linalg.svd(towards - towards.mean(axis=0))[2][-1]
    up = up / np.linalg.norm(up)
    x = np.cross(up, np.eye(3)[np.argmin(abs(up))])
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(up, x), up])


def _even_directions() -> np.ndarray:
    """Unit vectors (DIRECTIONS, 3), evenly over the sphere: the golden spiral."""
    index = np.arange(DIRECTIONS) + 0.5
    z, angle = 1 - 2 * index / DIRECTIONS, np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
