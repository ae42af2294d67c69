"""The network of NERF-2: how dense space is at a point, and of what colour from a direction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...fields.encodings import positional_encoding
from ...fields.layers import default_initial, plain_linear
from .settings import NetworkConfig


class RadianceNetwork(nn.Module):
    """points (N, 3) of the normalised frame, unit ray directions (N, 3) -> density (N,) of a normalised unit, colour
    (N, 3) in [0, 1]."""

    def __init__(
        self, config: NetworkConfig, device: torch.device, generator: torch.Generator, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.config = config
        width, place, view = config.width, *_encoded(config)

        def layer(inputs: int, outputs: int) -> nn.Linear:
            weight, bias = default_initial(inputs, outputs, generator)
            return plain_linear(weight.to(dtype), bias.to(dtype))

        inputs = [place] + [width + place * (before == config.skip) for before in range(config.layers - 1)]
        self.layers = nn.ModuleList(layer(count, width) for count in inputs)
        self.density, self.feature = layer(width, 1), layer(width, width)
        self.seen, self.colour = layer(width + view, width // 2), layer(width // 2, 3)
        self.to(device)

    def forward(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self._hidden(points)
        view = positional_encoding(directions, self.config.view_frequencies)
        seen = torch.relu(self.seen(torch.cat([self.feature(hidden), view], dim=1)))
        return torch.relu(self.density(hidden)[:, 0]), torch.sigmoid(self.colour(seen))

    def density_at(self, points: Tensor) -> Tensor:
        """Density (N,) alone."""
        return torch.relu(self.density(self._hidden(points))[:, 0])

    def _hidden(self, points: Tensor) -> Tensor:
        encoded = positional_encoding(points, self.config.position_frequencies)
        hidden = encoded
        for before, layer in enumerate(self.layers, start=-1):
            if before >= 0 and before == self.config.skip:
                hidden = torch.cat([encoded, hidden], dim=1)
            hidden = torch.relu(layer(hidden))
        return hidden


def _encoded(config: NetworkConfig) -> tuple[int, int]:
    """Columns of an encoded point and of an encoded direction."""
    return 3 * (1 + 2 * config.position_frequencies), 3 * (1 + 2 * config.view_frequencies)
