"""How an object stands before its cameras, so that another can be put in its place and its light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..cameras.paths import across, mean_up
from ..types import Cameras

WIDEST_GAP = math.radians(100)  # between the azimuths of an object that is photographed from all round
STEEP = 0.2  # a camera whose horizontal distance is a smaller share of its distance looks from above, from no side


@dataclass(frozen=True)
class Standing:
    """axes (3, 3) float64: unit rows front, left, up, normalised frame. reach: radians to both sides of the front from
    which there are cameras, pi where they are all round."""

    axes: np.ndarray
    reach: float

    @property
    def up(self) -> np.ndarray:
        return self.axes[2]

    def local(self, vectors: Tensor) -> Tensor:
        """Components (N, 3) along front, left and up of vectors (N, 3) of the normalised frame."""
        return vectors @ torch.from_numpy(self.axes.T).to(vectors)

    def azimuth(self, places: Tensor) -> Tensor:
        """Radians (N,) in (-pi, pi] by which places (N, 3) are to the left of the front."""
        front, left, _ = self.local(places).unbind(dim=1)
        return torch.atan2(left, front)


def standing(cameras: Cameras) -> Standing:
    """Of the object that cameras (V, normalised frame) look at. Its front is the middle of where they are, or the first
    one's side where they are all round."""
    centres, up = cameras.centres.double().cpu().numpy(), mean_up(cameras)
    first = Standing(_axes(across(centres[0], up), up), math.pi)
    level = np.linalg.norm(centres - np.outer(centres @ up, up), axis=1)
    beside = centres[level > STEEP * np.linalg.norm(centres, axis=1)]
    azimuths = np.sort(first.azimuth(torch.from_numpy(beside)).numpy())
    if not len(azimuths):
        return first
    gaps = np.diff(azimuths, append=azimuths[0] + 2 * math.pi)
    widest = int(gaps.argmax())
    if gaps[widest] <= WIDEST_GAP:
        return first
    middle = azimuths[widest] + gaps[widest] / 2 + math.pi
    front = math.cos(middle) * first.axes[0] + math.sin(middle) * first.axes[1]
    return Standing(_axes(front, up), math.pi - float(gaps[widest]) / 2)


def folded(azimuth: Tensor, reach: float) -> Tensor:
    """Azimuths (N,) within `reach`: those beyond it go back towards the front, which they reach behind the object.

    Continuous all round: light never jumps from one picture of a path to the next.
    """
    beyond = reach * (math.pi - azimuth.abs()) / max(math.pi - reach, 1e-9)
    return torch.where(azimuth.abs() <= reach, azimuth, azimuth.sign() * beyond)


def turned(vectors: Tensor, angle: Tensor) -> Tensor:
    """Vectors (N, 3) front, left, up, turned about up by radians (N,)."""
    front, left, up = vectors.unbind(dim=1)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * front - sin * left, sin * front + cos * left, up], dim=1)


def _axes(front: np.ndarray, up: np.ndarray) -> np.ndarray:
    return np.stack([front, np.cross(up, front), up])
