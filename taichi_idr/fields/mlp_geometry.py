"""The signed distance field of preset `idr` (NET-1 to NET-5): a deep Softplus network, gradient in closed form.

grad f is written out layer by layer from the last one back, as an ordinary first-order graph: one backward pass gives
its derivatives to parameters and points (NET-10).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import MlpGeometryConfig
from ..errors import UsageError
from ..ops.activations import RELEASED_STRAIGHT, softplus
from ..types import Sdf
from .encodings import PointEncoding
from .layers import WeightNormLinear, default_initial
from .sample import GeometrySample

LAST_LAYER_DEVIATION = 1e-4  # NET-4


class MlpGeometry(nn.Module):
    """f: R^3 -> R and z: R^3 -> R^Z, normalised frame, f negative inside."""

    encoding_width = 0

    def __init__(
        self,
        config: MlpGeometryConfig,
        device: torch.device,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Raises UsageError where the skip connection does not fit."""
        super().__init__()
        self.config = config
        self.encode = PointEncoding(config.position_frequencies, config.encoding, device, dtype)
        shapes = layer_shapes(config)
        layers = [_initial(config, i, *shape, generator) for i, shape in enumerate(shapes)]
        self.layers = nn.ModuleList(WeightNormLinear(weight.to(dtype), bias.to(dtype)) for weight, bias in layers)
        self.to(device)

    def sdf(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3)."""
        if not torch.is_grad_enabled():
            return self.frozen()(points)
        layers = self._weights()
        hidden = self._hidden(self.encode(points), layers, self._softplus)
        return _first_row(hidden, layers[-1])

    def sample(self, points: Tensor) -> GeometrySample:
        """f, z and grad f at points (N, 3), attached to points and parameters; the encoding has no columns."""
        layers, encoded, slopes = self._weights(), self.encode(points), []

        def activate(before: Tensor) -> Tensor:
            after, slope = softplus(before, self.config.softplus_beta, RELEASED_STRAIGHT)
            slopes.append(slope)
            return after

        output = F.linear(self._hidden(encoded, layers, activate), *layers[-1])
        gradient = self.encode.to_points(self._chain(layers, slopes), encoded)
        return GeometrySample(output[:, 0], gradient, output[:, 1:], points.new_empty(len(points), 0))

    @torch.no_grad()
    def frozen(self) -> Sdf:
        """f without a graph, weights normed once: valid until a parameter moves."""
        layers = [(weight.detach(), bias.detach()) for weight, bias in self._weights()]

        def softplus_in_place(before: Tensor) -> Tensor:
            return torch.ops.aten.softplus.out(before, self.config.softplus_beta, RELEASED_STRAIGHT, out=before)

        @torch.no_grad()
        def sdf(points: Tensor) -> Tensor:
            return _first_row(self._hidden(self.encode(points), layers, softplus_in_place), layers[-1])

        return sdf

    def _weights(self) -> list[tuple[Tensor, Tensor]]:
        """W and b of every layer."""
        layers = cast("list[WeightNormLinear]", list(self.layers))
        return [(layer.weight, layer.bias) for layer in layers]

    def _softplus(self, before: Tensor) -> Tensor:
        return F.softplus(before, self.config.softplus_beta, RELEASED_STRAIGHT)

    def _hidden(
        self, encoded: Tensor, layers: list[tuple[Tensor, Tensor]], activate: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Input (N, width) of the last layer; the skip layer gets [h, encoded] / sqrt 2 (NET-3)."""
        skip, hidden = self.config.skip_layer, encoded
        for i in range(len(layers)):
            if skip and i == skip:
                hidden = torch.cat([hidden, encoded], dim=1) / math.sqrt(2)
            if i < len(layers) - 1:
                hidden = activate(F.linear(hidden, *layers[i]))
        return hidden

    def _chain(self, layers: list[tuple[Tensor, Tensor]], slopes: list[Tensor]) -> Tensor:
        """df/d encoded (N, encoding) by the chain rule, from the last layer back."""
        skip, width = self.config.skip_layer, self.encode.width
        chain, skipped = layers[-1][0][0], 0.0
        for i in reversed(range(len(layers))):
            if skip and i == skip:
                chain = chain / math.sqrt(2)
                chain, skipped = chain[..., :-width], chain[..., -width:]
            if i > 0:
                chain = (chain * slopes[i - 1]) @ layers[i - 1][0]
        return chain + skipped


def layer_shapes(config: MlpGeometryConfig) -> list[tuple[int, int]]:
    """(inputs, outputs) of every layer; the one before the skip is narrower by the encoding (NET-3).

    Raises UsageError where the skip connection does not fit.
    """
    encoded = 3 * (1 + 2 * config.position_frequencies)
    inputs = [encoded, *[config.width] * config.hidden_layers]
    outputs = [*[config.width] * config.hidden_layers, 1 + config.features]
    if config.skip_layer:
        if config.skip_layer > config.hidden_layers or config.width <= encoded:
            why = f"{config.hidden_layers} hidden layers of {config.width}, encoding {encoded} wide"
            todo = f"use 1 to {config.hidden_layers}, or 0 for none; geometry.width above {encoded}"
            where = f"geometry.skip_layer={config.skip_layer}"
            raise UsageError("no room for the skip", where=where, why=why, todo=todo)
        outputs[config.skip_layer - 1] -= encoded
    return list(zip(inputs, outputs, strict=True))


def _initial(
    config: MlpGeometryConfig, i: int, inputs: int, outputs: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Weight and bias of layer i: a ball (NET-4), or torch's default."""
    if config.initialisation == "random":
        return default_initial(inputs, outputs, generator)
    noise = torch.randn(outputs, inputs, generator=generator)
    waves = 6 * config.position_frequencies
    if i == config.hidden_layers:
        weight = math.sqrt(math.pi / inputs) + LAST_LAYER_DEVIATION * noise
        return weight, torch.full((outputs,), -config.initial_bias)
    weight = math.sqrt(2 / outputs) * noise
    if i == 0 or i == config.skip_layer:
        weight[:, inputs - waves :] = 0
    return weight, torch.zeros(outputs)


def _first_row(hidden: Tensor, last: tuple[Tensor, Tensor]) -> Tensor:
    """f (N,) alone of the last layer's outputs."""
    weight, bias = last
    return F.linear(hidden, weight[:1], bias[:1])[:, 0]
