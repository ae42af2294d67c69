"""Which photos show the object from about where another does."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def nearest_views(centres: Tensor, middle: Tensor, count: int, narrowest: float, widest: float) -> Tensor:
    """Of V photos from centres (V, 3) the `count` nearest of each, (V, S) int32; -1 where there are fewer.

    Near is a small angle between the directions from the object's middle (3,); only photos from narrowest to widest
    degrees away.
    """
    towards = normalize(centres.double() - middle.double(), dim=1)
    angle = torch.rad2deg(torch.acos((towards @ towards.T).clamp(-1, 1)))
    angle = torch.where((angle >= narrowest) & (angle <= widest), angle, torch.inf)
    value, index = torch.sort(angle, dim=1, stable=True)
    return torch.where(value < torch.inf, index, -1)[:, :count].int().contiguous()
