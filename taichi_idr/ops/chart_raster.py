"""Which triangle of an atlas each texel lies in (kernels/chart_raster.py). Not differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import runtime
from ..kernels import chart_raster as kernels

CHUNK = 1 << 16  # triangles per launch: well under a second, so that signals are heard


def rasterise_charts(corners: Tensor, height: int, width: int) -> Tensor:
    """Number (H, W) int32 of the triangle that holds each texel's centre, the greatest where several do, -1 where none.

    corners (F, 3, 2): column and row of the corners of each triangle, either way round; texel (i, j) has its centre
    at column j, row i. On the device of the runtime.
    """
    if corners.ndim != 3 or corners.shape[1:] != (3, 2):
        raise ValueError(f"rasterise_charts: expected corners (F, 3, 2), got {tuple(corners.shape)}")
    target = {"dtype": runtime.current().dtype, "device": runtime.current().device}
    flat = corners.reshape(-1, 6).to(**target).contiguous()
    face = torch.full((height, width), -1, dtype=torch.int32, device=flat.device)
    for first in range(0, len(flat), CHUNK):
        runtime.launch(kernels.rasterise_charts, flat[first : first + CHUNK], first, face)
    return face
