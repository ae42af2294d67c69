"""The network of DVR-1: what is inside, and of what colour."""

from __future__ import annotations

import torch
from torch import Tensor

from ...fields.residual import ResidualBlocks
from .settings import NetworkConfig

UNIT_CUBE = 0.5
"""The published frame over the normalised one: there the object lies in a cube of side 1."""


class OccupancyNetwork(ResidualBlocks):
    """points (N, 3) of the normalised frame -> occupancy logit (N,), colour (N, 3) in [0, 1]."""

    def __init__(
        self, config: NetworkConfig, device: torch.device, generator: torch.Generator, dtype: torch.dtype
    ) -> None:
        super().__init__(3, 4, config.width, config.blocks, device, generator, dtype)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        output = super().forward(UNIT_CUBE * points)
        return output[:, 0], torch.sigmoid(output[:, 1:])
