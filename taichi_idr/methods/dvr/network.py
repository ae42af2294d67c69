"""The network of DVR-1: what is inside, and of what colour."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...fields.layers import default_initial, plain_linear
from .settings import NetworkConfig

UNIT_CUBE = 0.5
"""The published frame over the normalised one: there the object lies in a cube of side 1."""


class OccupancyNetwork(nn.Module):
    """points (N, 3) of the normalised frame -> occupancy logit (N,), colour (N, 3) in [0, 1].

    Residual blocks x + W1 relu(W0 relu(x)), whose W1 start at zero.
    """

    def __init__(
        self, config: NetworkConfig, device: torch.device, generator: torch.Generator, dtype: torch.dtype
    ) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, scale: float = 1.0) -> nn.Linear:
            weight, bias = default_initial(inputs, outputs, generator)
            return plain_linear((scale * weight).to(dtype), bias.to(dtype))

        width = config.width
        self.first, self.last = layer(3, width), layer(width, 4)
        self.opening = nn.ModuleList(layer(width, width) for _ in range(config.blocks))
        self.closing = nn.ModuleList(layer(width, width, 0.0) for _ in range(config.blocks))
        self.to(device)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.first(UNIT_CUBE * points)
        for opening, closing in zip(self.opening, self.closing, strict=True):
            hidden = hidden + closing(torch.relu(opening(torch.relu(hidden))))
        output = self.last(torch.relu(hidden))
        return output[:, 0], torch.sigmoid(output[:, 1:])
