"""Occupancy networks (OCC-1): residual blocks under a code, and the encoder that says what the code of points is.

Mescheder, Oechsle, Niemeyer, Nowozin and Geiger, "Occupancy Networks: Learning 3D Reconstruction in Function Space"
(CVPR 2019), and its released code. The frame is that of a shape: its box centred in the unit cube, longest edge 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...fields.encodings import positional_encoding
from ...fields.frozen import frozen
from ...fields.hash_geometry import HashGeometry
from ...fields.layers import default_initial, plain_linear
from ...types import Sdf
from .settings import OccupancyConfig, ShapesConfig

ROWS = 8192  # points at once outside training: a layer of them stays in the cache
MORE_ROWS = 32768  # of a hash grid, whose layers are narrow
NOWHERE = -1e3  # distance from a hull that bounds nothing


class OccupancyModel(nn.Module, ABC):
    """f(p, z) of one shape, whose code has no numbers, or of several."""

    code: int

    @abstractmethod
    def logits(self, points: Tensor, codes: Tensor) -> Tensor:
        """Logit (B, K) of being inside, at points (B, K, 3) of B shapes with codes (B, Z)."""

    @abstractmethod
    def posterior(self, points: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """q(z | points): mean and log of the deviation (B, Z), of points (B, K, 3) and inside (B, K), 0 or 1."""

    @abstractmethod
    def field(self, code: Tensor) -> Sdf:
        """Minus the logit, negative inside, of one code (Z,), as it is now; no graph."""

    @abstractmethod
    def slope(self, points: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Logit (N,) and its gradient (N, 3) at points (N, 3) of one code (Z,); no graph."""


def occupancy_model(
    config: ShapesConfig, shapes: int, device: torch.device, generator: torch.Generator
) -> OccupancyModel:
    """The network of these settings, with what it starts with."""
    if config.network.kind == "hash":
        return HashOccupancy(config, device, generator)
    return LatentOccupancy(config.network, config.network.code if shapes > 1 else 0, device, generator)


class HashOccupancy(OccupancyModel):
    """One shape in a hash grid over the padded cube."""

    code = 0

    def __init__(self, config: ShapesConfig, device: torch.device, generator: torch.Generator) -> None:
        super().__init__()
        self.geometry = HashGeometry(config.table, device, generator)
        self.scale = 2 / (1 + config.samples.padding)  # the padded cube is [-1, 1]^3 for the grid

    def logits(self, points: Tensor, codes: Tensor) -> Tensor:
        return -self.geometry.sdf((points * self.scale).reshape(-1, 3)).reshape(points.shape[:-1])

    def posterior(self, points: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        nothing = points.new_zeros(len(points), 0)
        return nothing, nothing

    def field(self, code: Tensor) -> Sdf:
        table = self.geometry.table
        values = frozen(self.geometry, torch.full((2, 2, 2), NOWHERE, device=table.device, dtype=table.dtype), 0.0)
        return lambda points: values(points * self.scale)

    @torch.no_grad()
    def slope(self, points: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        parts = [
            self.geometry.value_and_gradient(self.geometry.encode(x * self.scale)) for x in points.split(MORE_ROWS)
        ]
        value, gradient = (torch.cat(part) for part in zip(*parts, strict=True))
        return -value, -self.scale * gradient


class ConditionalNorm(nn.Module):
    """gain(z) x + offset(z), x normalised over the points of a step, or as it is.

    Of the published batch norm: in training the mean and variance are the step's, and afterwards the running ones, so
    that an answer never depends on what else is asked. gain and offset start at 1 and 0 whatever z is.
    """

    def __init__(self, code: int, width: int, norm: str) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False) if norm == "batch" else None
        unmoved = torch.zeros(width, code)
        self.gains, self.gain = nn.Parameter(unmoved.clone()), nn.Parameter(torch.ones(width))
        self.offsets, self.offset = nn.Parameter(unmoved), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        """x (B, K, W), codes (B, Z)."""
        if self.norm is not None:
            x = self.norm(x.flatten(0, 1)).view_as(x)
        gain, offset = F.linear(codes, self.gains, self.gain), F.linear(codes, self.offsets, self.offset)
        return torch.addcmul(offset[:, None], x, gain[:, None])


class ConditionalBlocks(nn.Module):
    """(B, K, D) under codes (B, Z) -> (B, K): a layer, to which the code is added, blocks x + W1 r(W0 r(x)) with r the
    ReLU of a conditional norm and W1 zero at the start, r and a layer."""

    def __init__(self, config: OccupancyConfig, inputs: int, code: int, generator: torch.Generator) -> None:
        super().__init__()
        width = config.width

        def layer(inputs: int, outputs: int, scale: float = 1.0) -> nn.Linear:
            weight, bias = default_initial(inputs, outputs, generator)
            return plain_linear(scale * weight, bias)

        def norms(count: int) -> nn.ModuleList:
            return nn.ModuleList(ConditionalNorm(code, width, config.norm) for _ in range(count))

        self.first, self.last = layer(inputs, width), layer(width, 1)
        self.coded = layer(code, width) if code else None
        self.opening = nn.ModuleList(layer(width, width) for _ in range(config.blocks))
        self.closing = nn.ModuleList(layer(width, width, 0.0) for _ in range(config.blocks))
        self.norms = norms(2 * config.blocks + 1)

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        hidden = self.first(x)
        if self.coded is not None:
            hidden = hidden + self.coded(codes)[:, None]
        norms = iter(self.norms)
        for opening, closing in zip(self.opening, self.closing, strict=True):
            inner = opening(torch.relu(next(norms)(hidden, codes)))
            hidden = hidden + closing(torch.relu(next(norms)(inner, codes)))
        return self.last(torch.relu(next(norms)(hidden, codes)))[..., 0]


class PointEncoder(nn.Module):
    """Points (B, K, D), inside (B, K) -> mean and log of the deviation (B, Z) of their code: layers whose maximum over
    the points goes to all of them, twice (the released encoder of q)."""

    def __init__(self, inputs: int, code: int, width: int, generator: torch.Generator) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int) -> nn.Linear:
            return plain_linear(*default_initial(inputs, outputs, generator))

        self.place, self.side, self.first = layer(inputs, width), layer(1, width), layer(width, width)
        self.pooled = nn.ModuleList([layer(2 * width, width), layer(2 * width, width)])
        self.mean, self.log_deviation = layer(width, code), layer(width, code)

    def forward(self, points: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.first(torch.relu(self.place(points) + self.side(inside[..., None])))
        for layer in self.pooled:
            most = hidden.amax(dim=1, keepdim=True).expand_as(hidden)
            hidden = layer(torch.relu(torch.cat([hidden, most], dim=-1)))
        summary = hidden.amax(dim=1)
        return self.mean(summary), self.log_deviation(summary)


class LatentOccupancy(OccupancyModel):
    """Conditional blocks and their encoder; code 0 is one shape, without encoder."""

    def __init__(self, config: OccupancyConfig, code: int, device: torch.device, generator: torch.Generator) -> None:
        super().__init__()
        self.code, self.frequencies = code, config.frequencies
        inputs = 3 + 6 * config.frequencies
        self.decoder = ConditionalBlocks(config, inputs, code, generator)
        self.encoder = PointEncoder(inputs, code, config.encoder_width, generator) if code else None
        self.to(device)

    def logits(self, points: Tensor, codes: Tensor) -> Tensor:
        return self.decoder(self._encoded(points), codes)

    def posterior(self, points: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        if self.encoder is None:
            nothing = points.new_zeros(len(points), 0)
            return nothing, nothing
        return self.encoder(self._encoded(points), inside)

    def field(self, code: Tensor) -> Sdf:
        @torch.no_grad()
        def values(points: Tensor) -> Tensor:
            self.eval()
            return torch.cat([-self.logits(part[None], code[None])[0] for part in points.split(ROWS)])

        return values

    def slope(self, points: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        self.eval()
        values, gradients = [], []
        for part in points.split(ROWS):
            leaf = part.detach().requires_grad_()
            logit = self.logits(leaf[None], code[None])[0]
            gradients.append(torch.autograd.grad(logit.sum(), leaf)[0])
            values.append(logit.detach())
        return torch.cat(values), torch.cat(gradients)

    def _encoded(self, points: Tensor) -> Tensor:
        return positional_encoding(points.flatten(0, 1), self.frequencies).unflatten(0, points.shape[:2])
