"""The signed distance field of preset `fast`: hash encoding and a small Softplus network, gradient in closed form.

With y = [x, enc(x)] the network gives [f, z]; its derivative df/dy is written out layer by layer, so that
grad f = (df/dy)_x + J^T (df/dy)_enc is part of an ordinary first-order graph and one backward pass trains it (NET-10).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import HashGeometryConfig
from ..ops.activations import softplus
from ..ops.hash_encoding import FEATURES, HashLayout, following, hash_encoding, hash_encoding_jacobian
from .sample import GeometrySample


@dataclass(frozen=True)
class Encoded:
    """At points (N, 3): the encoding's value (N, 2 L) and Jacobian (N, 2 L, 3)."""

    points: Tensor
    value: Tensor
    jacobian: Tensor

    def __getitem__(self, index: Tensor | slice) -> Encoded:
        return Encoded(self.points[index], self.value[index], self.jacobian[index])


class HashGeometry(nn.Module):
    """f: R^3 -> R and z: R^3 -> R^Z, normalised frame, f negative inside.

    `active_levels` is set from outside (coarse to fine). `table_gradient` collects the table's gradient over a step.
    """

    def __init__(self, config: HashGeometryConfig, device: torch.device, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.layout = HashLayout.build(config.levels, config.coarsest, config.finest, config.log2_rows, device)
        self.active_levels = config.levels
        table = torch.rand(self.layout.rows, FEATURES, generator=generator) * 2 - 1
        self.table = nn.Parameter((table * config.table_scale).to(device))
        self.table_gradient = torch.zeros_like(self.table)
        widths = [3 + FEATURES * config.levels, *[config.width] * config.hidden_layers, 1 + config.features]
        self.layers = nn.ModuleList(_linear(inputs, outputs, device, generator) for inputs, outputs in pairwise(widths))

    @property
    def encoding_width(self) -> int:
        return FEATURES * self.config.levels

    @property
    def _last(self) -> nn.Linear:
        return cast(nn.Linear, self.layers[-1])

    def sdf(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3)."""
        encoding = hash_encoding(
            points, self.table, self.layout, self.active_levels, table_gradient=self.table_gradient
        )
        hidden = torch.cat([points, encoding], dim=1)
        for layer in self.layers[:-1]:
            hidden, _slope = softplus(layer(hidden), self.config.softplus_beta)
        last = self._last
        return F.linear(hidden, last.weight[:1], last.bias[:1])[:, 0]

    def sample(self, points: Tensor) -> GeometrySample:
        """f, z, grad f and the encoding at points (N, 3), attached to points and parameters."""
        return self.decode(self.encode(points))

    def encode(self, points: Tensor) -> Encoded:
        """The encoding and its Jacobian at points (N, 3), attached to points and table."""
        parameters = (self.table, self.layout, self.active_levels)
        return Encoded(points, *hash_encoding_jacobian(points, *parameters, table_gradient=self.table_gradient))

    def following(self, points: Tensor, encoded: Encoded) -> Encoded:
        """`encoded` attached to points (N, 3) that have its places: `encode(points)` without asking the table again."""
        parameters = (self.table, self.layout, self.active_levels)
        return Encoded(points, *following(points, encoded.value, encoded.jacobian, *parameters))

    def decode(self, encoded: Encoded) -> GeometrySample:
        """f, z, grad f where the encoding is known."""
        hidden, slopes = self._hidden(encoded)
        output = self._last(hidden)
        return GeometrySample(output[:, 0], self._gradient(slopes, encoded.jacobian), output[:, 1:], encoded.value)

    def value_and_gradient(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """f (N,) and grad f (N, 3) alone."""
        hidden, slopes = self._hidden(encoded)
        last = self._last
        value = F.linear(hidden, last.weight[:1], last.bias[:1])[:, 0]
        return value, self._gradient(slopes, encoded.jacobian)

    def _hidden(self, encoded: Encoded) -> tuple[Tensor, list[Tensor]]:
        """The last hidden layer (N, W), and of every hidden layer the slope of its activation."""
        hidden, slopes = torch.cat([encoded.points, encoded.value], dim=1), []
        for layer in self.layers[:-1]:
            hidden, slope = softplus(layer(hidden), self.config.softplus_beta)
            slopes.append(slope)
        return hidden, slopes

    def _gradient(self, slopes: list[Tensor], jacobian: Tensor) -> Tensor:
        """grad f by the chain rule, from the last layer back."""
        chain = self._last.weight[0].expand_as(slopes[-1])
        for layer, slope in zip(reversed(self.layers[:-1]), reversed(slopes), strict=True):
            chain = (chain * slope) @ cast(nn.Linear, layer).weight
        through_encoding = torch.bmm(chain[:, None, 3:], jacobian)[:, 0]
        return chain[:, :3] + through_encoding


def _linear(inputs: int, outputs: int, device: torch.device, generator: torch.Generator) -> nn.Linear:
    """A layer with He initialisation (the hidden rule of NET-4) drawn from `generator`."""
    layer = nn.Linear(inputs, outputs, device="meta")
    weight = torch.randn(outputs, inputs, generator=generator) * math.sqrt(2 / outputs)
    layer.weight = nn.Parameter(weight.to(device))
    layer.bias = nn.Parameter(torch.zeros(outputs, device=device))
    return layer
