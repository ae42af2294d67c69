"""Twin of ops/chart_raster.py: every triangle against every texel."""

from __future__ import annotations

import torch
from torch import Tensor


def rasterise_charts(corners: Tensor, height: int, width: int) -> Tensor:
    """Number (H, W) of the greatest of the triangles `corners` (F, 3, 2) that holds each texel's centre, or -1.

    A triangle holds a point that is on the same side of all of its edges.
    """
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    texel = torch.stack([column, row], dim=-1).to(corners)  # (H, W, 2)
    edge = corners.roll(-1, dims=1) - corners
    to_texel = texel[:, :, None, None] - corners
    side = edge[..., 0] * to_texel[..., 1] - edge[..., 1] * to_texel[..., 0]  # (H, W, F, 3)
    area = edge[:, 0, 0] * edge[:, 1, 1] - edge[:, 0, 1] * edge[:, 1, 0]
    held = ((side >= 0).all(dim=3) | (side <= 0).all(dim=3)) & (area != 0)
    number = torch.arange(len(corners)).expand_as(held)
    return torch.where(held, number, -1).amax(dim=2)
