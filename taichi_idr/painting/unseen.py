"""Colours where no photo shows any."""

from __future__ import annotations

import torch
from scipy.spatial import KDTree
from torch import Tensor

NEIGHBOURS = 8


def filled(colours: Tensor, points: Tensor, seen: Tensor) -> Tensor:
    """colours (V, 3) at points (V, 3), where not `seen` (V,) those of the nearest that are, by the inverse square of
    their distance; as they are if nothing is seen."""
    if not bool(seen.any()) or bool(seen.all()):
        return colours
    known = torch.nonzero(seen)[:, 0]
    tree = KDTree(points[known].cpu().numpy())
    wanted = points[~seen].cpu().numpy()
    distance, index = tree.query(wanted, k=min(NEIGHBOURS, len(known)), workers=-1)
    near = torch.from_numpy(distance).to(colours).reshape(len(wanted), -1)
    weight = 1 / (near.square() + torch.finfo(colours.dtype).eps)
    sources = colours[known[torch.from_numpy(index).to(known).reshape(len(wanted), -1)]]
    result = colours.clone()
    result[~seen] = (weight[..., None] * sources).sum(dim=1) / weight.sum(dim=1, keepdim=True)
    return result
