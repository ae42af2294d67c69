"""Twin of ops/intersection.py: the formula of Lemma 1, differentiated by torch."""

from __future__ import annotations

import torch
from torch import Tensor


def surface_points(
    origins: Tensor,
    directions: Tensor,
    depth: Tensor,
    sdf_value: Tensor,
    normal: Tensor,
    *,
    grazing: float,
) -> tuple[Tensor, Tensor]:
    """x = c + t v with t = t0 - (f(c + t0 v) - stop f) / (n.v0), and the number of clamped rays.

    f depends on the ray through its point, to first order as n.(c + t0 v): sdf_value carries the parameters only.
    """
    depth, normal = depth.detach(), normal.detach()
    moved = origins - origins.detach() + depth[:, None] * (directions - directions.detach())
    change = sdf_value - sdf_value.detach() + (normal * moved).sum(dim=1)
    cosine = (normal * directions.detach()).sum(dim=1)
    clamped = torch.where(cosine > 0, cosine.clamp(min=grazing), cosine.clamp(max=-grazing))
    attached = depth - change / clamped
    return origins + attached[:, None] * directions, (cosine.abs() < grazing).sum()
