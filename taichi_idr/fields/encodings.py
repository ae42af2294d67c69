"""Positional encodings: as released (NET-1) and as printed in the paper (NET-2)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn


def positional_encoding(x: Tensor, frequencies: int) -> Tensor:
    """x (N, D) -> (N, D (1 + 2 frequencies)): x, then sin(2^k x), cos(2^k x) for k = 0 ... (NET-1, no factor pi)."""
    parts = [x]
    for k in range(frequencies):
        parts += [torch.sin(2**k * x), torch.cos(2**k * x)]
    return torch.cat(parts, dim=1)


class PointEncoding(nn.Module):
    """Encoding of points (N, 3) -> (N, 3 (1 + 2 count)) that also turns gradients back: x first, then pairs of waves.

    "code" is `positional_encoding`; "paper" has cos, sin of 2 pi omega x for omega = 1 ... count (NET-2).
    """

    def __init__(self, count: int, kind: Literal["code", "paper"], device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.kind = kind
        self.width = 3 * (1 + 2 * count)
        steps = [2.0**k if kind == "code" else 2 * math.pi * (k + 1) for k in range(count)]
        self.frequencies: Tensor
        self.register_buffer("frequencies", torch.tensor(steps, device=device, dtype=dtype)[:, None], persistent=False)

    def forward(self, points: Tensor) -> Tensor:
        angles = self.frequencies * points[:, None]
        waves = (angles.sin(), angles.cos()) if self.kind == "code" else (angles.cos(), angles.sin())
        return torch.cat([points, torch.stack(waves, dim=2).flatten(1)], dim=1)

    def to_points(self, chain: Tensor, encoded: Tensor) -> Tensor:
        """Gradient (N, 3) in the points of what has the gradient `chain` (N, width) in the encoding `encoded`.

        The derivative of a pair of waves is the pair exchanged, times the frequency and a sign.
        """
        pairs = (len(self.frequencies), 2, 3)
        exchanged = encoded[:, 3:].unflatten(1, pairs).flip(2)
        weighted = chain[:, 3:].unflatten(1, pairs) * exchanged * self.frequencies[:, None]
        first, second = weighted.sum(1).unbind(1)
        return chain[:, :3] + (first - second if self.kind == "code" else second - first)
