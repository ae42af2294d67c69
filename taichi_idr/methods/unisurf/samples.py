"""Where the samples of a ray lie (UNI-4 and UNI-5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...tracing.sampled import Ends
from ...tracing.volume import stratified
from ...types import Hits
from .settings import IntervalConfig


def half_width(config: IntervalConfig, progress: float) -> float:
    """Of the interval about the surface when that share of the steps is done (UNI-4)."""
    return max(config.widest * math.exp(-config.decay * progress), config.narrowest)


def sample_depths(ends: Ends, hits: Hits, half: float | Tensor, before: int, place: Tensor) -> Tensor:
    """Depths (R, S), rising: `before` samples from the camera to the interval of that half width about the surface,
    the others in it; without a surface all lie between the ends.

    place (R, S): as `stratified` has it.
    """
    near, far, _ = ends
    share = before / place.shape[1]
    begin = torch.where(hits.hit, torch.clamp(hits.depth - half, near, far), near + share * (far - near))
    end = torch.where(hits.hit, torch.clamp(hits.depth + half, near, far), far)
    return torch.cat([stratified(near, begin, place[:, :before]), stratified(begin, end, place[:, before:])], dim=1)
