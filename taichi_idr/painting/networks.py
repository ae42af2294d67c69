"""Networks that say of what colour a place on a surface is (TEX-1), seen from a direction in a light (LIGHT-1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from .. import runtime
from ..fields.hash_table import HashTable
from ..fields.layers import default_initial, plain_linear
from ..fields.radiance import Radiance
from ..fields.residual import ResidualBlocks
from ..fields.sample import GeometrySample
from .settings import PaintConfig


@dataclass(frozen=True)
class Sight:
    """N places on the surface as they are looked at, normalised frame. points (N, 3); directions (N, 3) unit, away from
    the camera; normals (N, 3) unit, towards it; light (N,) int64, number of the lighting condition."""

    points: Tensor
    directions: Tensor
    normals: Tensor
    light: Tensor

    def __len__(self) -> int:
        return len(self.points)

    def split(self, size: int) -> list[Sight]:
        """In parts of at most that many places."""
        return [Sight(*columns) for columns in zip(*(x.split(size) for x in vars(self).values()), strict=True)]


class ColourNetwork(nn.Module, ABC):
    """Colours (N, 3) in [0, 1] of a Sight."""

    @abstractmethod
    def forward(self, sight: Sight) -> Tensor: ...


class HashTexture(ColourNetwork):
    """t(x): hash encoding and a small ReLU network (TEX-1)."""

    def __init__(self, config: PaintConfig, device: torch.device, generator: torch.Generator) -> None:
        super().__init__()
        self.table = HashTable(config.table, device, generator)
        texture, dtype = config.texture, runtime.current().dtype
        widths = pairwise([3 + self.table.width, *[texture.width] * texture.hidden_layers, 3])
        initial = [default_initial(inputs, outputs, generator) for inputs, outputs in widths]
        self.layers = nn.ModuleList(plain_linear(weight.to(dtype), bias.to(dtype)) for weight, bias in initial)
        self.to(device)

    def forward(self, sight: Sight) -> Tensor:
        hidden = torch.cat([sight.points, self.table(sight.points)], dim=1)
        for layer in self.layers[:-1]:
            hidden = torch.relu(layer(hidden))
        return torch.sigmoid(self.layers[-1](hidden))


class ResidualTexture(ColourNetwork):
    """t(x): residual blocks as DVR-1 (TEX-1; Oechsle et al., Texture Fields, ICCV 2019)."""

    def __init__(self, config: PaintConfig, device: torch.device, generator: torch.Generator) -> None:
        super().__init__()
        shape = config.texture.width, config.texture.blocks
        self.blocks = ResidualBlocks(3, 3, *shape, device, generator, runtime.current().dtype)

    def forward(self, sight: Sight) -> Tensor:
        return torch.sigmoid(self.blocks(sight.points))


class LightField(ColourNetwork):
    """c(x, v), and a code for each lighting condition where there are several (LIGHT-1)."""

    def __init__(self, config: PaintConfig, lights: int, device: torch.device, generator: torch.Generator) -> None:
        super().__init__()
        self.table = HashTable(config.table, device, generator)
        dtype = runtime.current().dtype
        code = config.texture.light_code if lights > 1 else 0
        self.codes = nn.Parameter(torch.randn(lights, code, generator=generator).to(device, dtype))
        self.radiance = Radiance(config.radiance, self.table.width + code, device, generator, dtype=dtype)

    def forward(self, sight: Sight) -> Tensor:
        on_surface = torch.zeros_like(sight.points[:, 0])
        geometry = GeometrySample(on_surface, sight.normals, self.codes[sight.light], self.table(sight.points))
        return (self.radiance(sight.points, sight.directions, geometry) + 1) / 2


def colour_network(config: PaintConfig, lights: int, device: torch.device, generator: torch.Generator) -> ColourNetwork:
    """The network of these settings, for so many lighting conditions, in the precision of the running backend."""
    if config.texture.network == "light":
        return LightField(config, lights, device, generator)
    return {"hash": HashTexture, "residual": ResidualTexture}[config.texture.network](config, device, generator)
