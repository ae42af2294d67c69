"""The neural renderer M (section 3.2 of the paper): colour of a surface point seen from a direction."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..config import RadianceConfig
from .encodings import positional_encoding
from .geometry import GeometrySample


class Radiance(nn.Module):
    """M(x, n, v, z, encoding) in [-1, 1]^3 (NET-6 with the hash encoding at x as a further input)."""

    def __init__(
        self, config: RadianceConfig, geometry_width: int, device: torch.device, generator: torch.Generator
    ) -> None:
        """geometry_width: columns of z and of the encoding together."""
        super().__init__()
        self.config = config
        inputs = 3 + 3 + 3 * (1 + 2 * config.view_frequencies) + geometry_width
        widths = [inputs, *[config.width] * config.hidden_layers, 3]
        self.layers = nn.ModuleList(_linear(a, b, device, generator) for a, b in pairwise(widths))

    def forward(self, points: Tensor, directions: Tensor, geometry: GeometrySample) -> Tensor:
        """Colours (N, 3) at points (N, 3) seen along unit ray directions (N, 3), surface data in `geometry`."""
        view = positional_encoding(-directions, self.config.view_frequencies)  # NET-9: from surface to camera
        hidden = torch.cat([points, view, geometry.gradient, geometry.feature, geometry.encoding], dim=1)
        for layer in self.layers[:-1]:
            hidden = torch.relu(layer(hidden))
        return torch.tanh(self.layers[-1](hidden))


def _linear(inputs: int, outputs: int, device: torch.device, generator: torch.Generator) -> nn.Linear:
    """torch's default initialisation, U(+-1/sqrt(inputs)), drawn from `generator`."""
    layer = nn.Linear(inputs, outputs, device="meta")
    bound = 1 / math.sqrt(inputs)
    for name, shape in (("weight", (outputs, inputs)), ("bias", (outputs,))):
        values = (torch.rand(shape, generator=generator) * 2 - 1) * bound
        setattr(layer, name, nn.Parameter(values.to(device)))
    return layer
