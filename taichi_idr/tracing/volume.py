"""Samples along rays, for methods that add up what all of a ray shows."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Rays


def stratified(near: Tensor, far: Tensor, place: Tensor) -> Tensor:
    """Depths (R, S), rising: one in each of S equal parts of a ray from near (R,) to far (R,).

    place (R, S) in [0, 1): where in its part each lies; a half is the middle, random numbers are a Monte Carlo sum.
    """
    count = place.shape[1]
    shares = (torch.arange(count, device=place.device, dtype=place.dtype) + place) / max(count, 1)
    return near[:, None] + shares * (far - near)[:, None]


def points_on(rays: Rays, depths: Tensor) -> tuple[Tensor, Tensor]:
    """Points and directions (R S, 3) of samples at depths (R, S) along rays (R,), ray by ray."""
    points = rays.origins[:, None] + depths[:, :, None] * rays.directions[:, None]
    return points.reshape(-1, 3), rays.directions.repeat_interleave(depths.shape[1], dim=0)
