"""Twin of ops/activations.py: differentiable as often as torch likes."""

from __future__ import annotations

import torch
from torch import Tensor


def softplus(before: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Value and slope (N, W) of Softplus at before (N, W)."""
    scaled = beta * before
    return torch.logaddexp(scaled, torch.zeros_like(scaled)) / beta, torch.sigmoid(scaled)
