"""Layers with weight norm (NET-5), and torch's default initialisation from a given generator."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class WeightNormLinear(nn.Module):
    """y = W x + b with W = g v / |v| row by row; g (out, 1), v (out, in) and b (out,) are trained (NET-5)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """weight (out, in), bias (out,): what the layer starts with."""
        super().__init__()
        self.weight_g = nn.Parameter(weight.norm(dim=1, keepdim=True))
        self.weight_v = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    @property
    def weight(self) -> Tensor:
        return self.weight_v * (self.weight_g / self.weight_v.norm(dim=1, keepdim=True))

    def forward(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight, self.bias)


def plain_linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """The layer with these parameters, without weight norm."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer


def default_initial(inputs: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weight (out, in) and bias (out,) as torch.nn.Linear draws them, U(+-1/sqrt(in)), on the CPU."""
    bound = 1 / math.sqrt(inputs)
    weight = (torch.rand(outputs, inputs, generator=generator) * 2 - 1) * bound
    bias = (torch.rand(outputs, generator=generator) * 2 - 1) * bound
    return weight, bias
