"""More samples where the first ones saw something (NERF-2)."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 1e-5  # share of each bin, as released: a ray that saw nothing is sampled everywhere


def inverse_transform(edges: Tensor, share: Tensor, place: Tensor) -> Tensor:
    """Depths (R, F) distributed as a density that is constant between edges (R, B + 1) and has shares (R, B) there.

    place (R, F) in [0, 1): of the distribution, to the left of each depth. No graph; shares need no sum.
    """
    share = share.detach() + LEAST
    cumulative = torch.cumsum(share / share.sum(dim=1, keepdim=True), dim=1)
    cumulative = torch.cat([torch.zeros_like(cumulative[:, :1]), cumulative], dim=1)
    right = torch.searchsorted(cumulative, place.contiguous(), right=True).clamp(1, share.shape[1])
    low, high = cumulative.gather(1, right - 1), cumulative.gather(1, right)
    begin, end = edges.gather(1, right - 1), edges.gather(1, right)
    return begin + (end - begin) * ((place - low) / (high - low)).clamp(0, 1)


def refined(depths: Tensor, share: Tensor, place: Tensor) -> Tensor:
    """Depths (R, S) and F more among them, rising (R, S + F), by the weights (R, S) of the inner ones."""
    middles = (depths[:, 1:] + depths[:, :-1]) / 2
    more = inverse_transform(middles, share[:, 1:-1], place)
    return torch.cat([depths, more], dim=1).sort(dim=1).values
