"""Positional encoding (NET-1)."""

from __future__ import annotations

import torch
from torch import Tensor


def positional_encoding(x: Tensor, frequencies: int) -> Tensor:
    """x (N, D) -> (N, D (1 + 2 frequencies)): x, then sin(2^k x), cos(2^k x) for k = 0 ... (NET-1, no factor pi)."""
    parts = [x]
    for k in range(frequencies):
        parts += [torch.sin(2**k * x), torch.cos(2**k * x)]
    return torch.cat(parts, dim=1)
