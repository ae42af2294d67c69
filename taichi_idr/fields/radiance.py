"""The neural renderer M (section 3.2 of the paper): colour of a surface point seen from a direction."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..config import RadianceConfig
from .encodings import positional_encoding
from .layers import WeightNormLinear, default_initial, plain_linear
from .sample import GeometrySample


class Radiance(nn.Module):
    """M(x, n, v, z, encoding) in [-1, 1]^3 (NET-6; the hash encoding at x is a further input); modes of NET-7.

    In mode `reflected` it also knows where a mirror there would look from the camera: what is shiny depends on little
    else (Verbin et al., Ref-NeRF, CVPR 2022, equation 4). In mode `auto` it knows that instead of v once `mirrors` is
    true, which a checkpoint has.
    """

    mirrors: Tensor | None

    def __init__(
        self,
        config: RadianceConfig,
        geometry_width: int,
        device: torch.device,
        generator: torch.Generator,
        *,
        weight_norm: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """geometry_width: columns of z and of the encoding together."""
        super().__init__()
        self.config = config
        make = WeightNormLinear if weight_norm else plain_linear
        initial = [default_initial(*shape, generator) for shape in renderer_layer_shapes(config, geometry_width)]
        self.register_buffer("mirrors", torch.zeros(1, dtype=torch.bool) if config.mode == "auto" else None)
        self.layers = nn.ModuleList(make(weight.to(dtype), bias.to(dtype)) for weight, bias in initial)
        self.to(device)

    def forward(self, points: Tensor, directions: Tensor, geometry: GeometrySample) -> Tensor:
        """Colours (N, 3) at points (N, 3) seen along unit ray directions (N, 3), surface data in `geometry`."""
        parts = [points]
        instead = self.mirrors is not None and bool(self.mirrors)
        if instead or self.config.mode == "reflected":
            parts.append(positional_encoding(reflected(directions, geometry.gradient), self.config.view_frequencies))
        if not instead and self.config.mode != "no_view_dir":
            parts.append(positional_encoding(-directions, self.config.view_frequencies))  # NET-9: surface to camera
        if self.config.mode != "no_normal":
            parts.append(geometry.gradient)  # NET-8: raw
        hidden = torch.cat([*parts, geometry.feature, geometry.encoding], dim=1)
        for layer in self.layers[:-1]:
            hidden = layer(hidden).relu_()
        return torch.tanh(self.layers[-1](hidden))


def reflected(directions: Tensor, normals: Tensor) -> Tensor:
    """Unit directions (N, 3) of light after a mirror with normals (N, 3), of any length."""
    unit = normalize(normals, dim=1)
    return directions - 2 * (directions * unit).sum(dim=1, keepdim=True) * unit


def renderer_layer_shapes(config: RadianceConfig, geometry_width: int) -> list[tuple[int, int]]:
    """(inputs, outputs) of every layer (NET-6, NET-7)."""
    view = {"no_view_dir": 0, "reflected": 2}.get(config.mode, 1) * 3 * (1 + 2 * config.view_frequencies)
    normal = 0 if config.mode == "no_normal" else 3
    return list(pairwise([3 + view + normal + geometry_width, *[config.width] * config.hidden_layers, 3]))
