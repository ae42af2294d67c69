"""The two networks of IDR as plain functions of named tensors (NET-1 to NET-10), written from the method's list.

A state is a dict of tensors with the official names (NET-11): `implicit_network.lin{i}.weight_g` and so on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
Mode = Literal["idr", "no_view_dir", "no_normal"]
Encoding = Literal["code", "paper"]


@dataclass(frozen=True)
class SdfShape:
    """NET-3. skip: the layer whose input is [h, PE(x)] / sqrt 2; None: no such layer. features 0: f alone (NET-7).

    encoding: NET-1 as in the released code, or NET-2; frequencies 0 leaves x itself.
    """

    width: int = 512
    hidden_layers: int = 8
    features: int = 256
    skip: int | None = 4
    frequencies: int = 6
    encoding: Encoding = "code"
    beta: float = 100.0

    @property
    def encoded(self) -> int:
        return 3 * (1 + 2 * self.frequencies)

    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of every linear layer; the one before the skip is narrower by the encoding."""
        inputs = [self.encoded, *[self.width] * self.hidden_layers]
        outputs = [*[self.width] * self.hidden_layers, 1 + self.features]
        if self.skip is not None:
            outputs[self.skip - 1] -= self.encoded
        return list(zip(inputs, outputs, strict=True))


@dataclass(frozen=True)
class RendererShape:
    """NET-6 and NET-7. features: width of z."""

    width: int = 512
    hidden_layers: int = 4
    features: int = 256
    frequencies: int = 4
    mode: Mode = "idr"

    @property
    def inputs(self) -> int:
        view = 0 if self.mode == "no_view_dir" else 3 * (1 + 2 * self.frequencies)
        normal = 0 if self.mode == "no_normal" else 3
        return 3 + view + normal + self.features

    def layers(self) -> list[tuple[int, int]]:
        widths = [self.inputs, *[self.width] * self.hidden_layers, 3]
        return list(itertools.pairwise(widths))


@dataclass(frozen=True)
class Shapes:
    """Both networks."""

    sdf: SdfShape = field(default_factory=SdfShape)
    renderer: RendererShape = field(default_factory=RendererShape)


def initial_state(shapes: Shapes, generator: torch.Generator, dtype: torch.dtype = torch.float64) -> State:
    """Geometric init of the SDF (NET-4), torch's default for the renderer (NET-6), weight norm afterwards (NET-5)."""
    state: State = {}
    for i, layer in enumerate(shapes.sdf.layers()):
        state |= _normed(f"implicit_network.lin{i}", *_geometric(shapes.sdf, i, *layer, generator), dtype)
    for i, layer in enumerate(shapes.renderer.layers()):
        state |= _normed(f"rendering_network.lin{i}", *_default(*layer, generator), dtype)
    return state


def positional_encoding(x: Tensor, frequencies: int) -> Tensor:
    """NET-1: x, then sin(2^k x), cos(2^k x); (N, D) -> (N, D (1 + 2 frequencies))."""
    waves = [wave(2**k * x) for k in range(frequencies) for wave in (torch.sin, torch.cos)]
    return torch.cat([x, *waves], dim=1)


def paper_encoding(x: Tensor, frequencies: int) -> Tensor:
    """NET-2: x, then the real and the imaginary part of exp(2 pi i omega x), omega = 1 ... frequencies."""
    waves = [wave(2 * math.pi * omega * x) for omega in range(1, frequencies + 1) for wave in (torch.cos, torch.sin)]
    return torch.cat([x, *waves], dim=1)


def sdf_network(state: State, shape: SdfShape) -> Callable[[Tensor], Tensor]:
    """F (NET-3): points (N, 3) -> (N, 1 + Z), columns f and z. Weights are normed once (NET-5)."""
    layers = _weights(state, "implicit_network", len(shape.layers()))

    def network(points: Tensor) -> Tensor:
        encoded = _encode(points, shape)
        hidden = encoded
        for i, (weight, bias) in enumerate(layers):
            if i == shape.skip:
                hidden = torch.cat([hidden, encoded], dim=1) / math.sqrt(2)
            hidden = F.linear(hidden, weight, bias)
            if i < len(layers) - 1:
                hidden = F.softplus(hidden, beta=shape.beta)
        return hidden

    return network


def gradient(network: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """grad f (N, 3) at points (N, 3), itself differentiable in points and parameters (NET-10)."""
    points = points if points.requires_grad else points.detach().requires_grad_()
    return torch.autograd.grad(network(points)[:, 0].sum(), points, create_graph=True)[0]


def renderer(state: State, shape: RendererShape, x: Tensor, normal: Tensor, to_camera: Tensor, z: Tensor) -> Tensor:
    """M (NET-6, NET-7): colours (N, 3) in [-1, 1] from points x, raw grad f (NET-8), -v (NET-9) and z (N, Z)."""
    view = positional_encoding(to_camera, shape.frequencies)
    inputs = {
        "idr": [x, view, normal, z],
        "no_view_dir": [x, normal, z],
        "no_normal": [x, view, z],
    }[shape.mode]
    hidden = torch.cat(inputs, dim=1)
    layers = _weights(state, "rendering_network", shape.hidden_layers + 1)
    for weight, bias in layers[:-1]:
        hidden = torch.relu(F.linear(hidden, weight, bias))
    return torch.tanh(F.linear(hidden, *layers[-1]))


def _geometric(shape: SdfShape, i: int, inputs: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weight and bias of layer i (NET-4)."""
    noise = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
    if i == shape.hidden_layers:
        weight = math.sqrt(math.pi) / math.sqrt(inputs) + 1e-4 * noise
        return weight, torch.full((outputs,), -0.6, dtype=torch.float64)
    weight = math.sqrt(2) / math.sqrt(outputs) * noise
    if i in (0, shape.skip):
        weight[:, inputs - (shape.encoded - 3) :] = 0
    return weight, torch.zeros(outputs, dtype=torch.float64)


def _default(inputs: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What torch.nn.Linear starts with: uniform in +-1/sqrt(inputs)."""
    shapes = ((outputs, inputs), (outputs,))
    weight, bias = (torch.rand(s, generator=generator, dtype=torch.float64) * 2 - 1 for s in shapes)
    return weight / math.sqrt(inputs), bias / math.sqrt(inputs)


def _normed(name: str, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> State:
    """NET-5: g is the length of each row, v the row."""
    length = weight.norm(dim=1, keepdim=True)
    parts = {"weight_g": length, "weight_v": weight, "bias": bias}
    return {f"{name}.{part}": tensor.to(dtype) for part, tensor in parts.items()}


def _weights(state: State, network: str, count: int) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of every layer: W = g v / |v|, row by row."""
    layers = []
    for i in range(count):
        g, v, bias = (state[f"{network}.lin{i}.{part}"] for part in ("weight_g", "weight_v", "bias"))
        layers.append((g * v / v.norm(dim=1, keepdim=True), bias))
    return layers


def _encode(points: Tensor, shape: SdfShape) -> Tensor:
    encode = {"code": positional_encoding, "paper": paper_encoding}[shape.encoding]
    return encode(points, shape.frequencies)
