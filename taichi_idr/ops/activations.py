"""Softplus with its slope, and the adjoint of both written out.

h = log(1 + exp(beta a)) / beta,   s = dh/da = 1 / (1 + exp(-beta a)),   ds/da = beta s (1 - s), hence
a_bar = s (h_bar + beta (1 - s) s_bar).

Value and slope are both outputs: the gradient of a field in closed form multiplies slopes. The adjoint takes three
passes over memory without an exponential, where torch's own takes six with one. A kernel for it was slower than
torch's vectorised passes (docs/decisions/0011-one-kernel-per-ray.md).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

STRAIGHT = 40.0  # beta a beyond which Softplus is the identity, in double precision too


def softplus(before: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Value and slope, both (N, W), of Softplus at before (N, W). Differentiable once."""
    if before.ndim != 2:
        raise ValueError(f"softplus: expected (N, W), got {tuple(before.shape)}")
    return _Softplus.apply(before, beta)


class _Softplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, before: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        slope = torch.sigmoid(before * beta)
        ctx.save_for_backward(slope)
        ctx.beta = beta
        return F.softplus(before, beta=beta, threshold=STRAIGHT), slope

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, value_bar: Tensor, slope_bar: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        through_slope = torch.addcmul(slope_bar, slope, slope_bar, value=-1)
        return torch.add(value_bar, through_slope, alpha=ctx.beta).mul_(slope), None
