"""A network of residual blocks, ReLU, without encoding (DVR-1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import default_initial, plain_linear


class ResidualBlocks(nn.Module):
    """(N, inputs) -> (N, outputs): a layer, blocks x + W1 relu(W0 relu(x)) whose W1 start at zero, ReLU and a layer
    (Niemeyer et al., CVPR 2020, and its released code)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        blocks: int,
        device: torch.device,
        generator: torch.Generator,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, scale: float = 1.0) -> nn.Linear:
            weight, bias = default_initial(inputs, outputs, generator)
            return plain_linear((scale * weight).to(dtype), bias.to(dtype))

        self.first, self.last = layer(inputs, width), layer(width, outputs)
        self.opening = nn.ModuleList(layer(width, width) for _ in range(blocks))
        self.closing = nn.ModuleList(layer(width, width, 0.0) for _ in range(blocks))
        self.to(device)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        for opening, closing in zip(self.opening, self.closing, strict=True):
            hidden = hidden + closing(torch.relu(opening(torch.relu(hidden))))
        return self.last(torch.relu(hidden))
