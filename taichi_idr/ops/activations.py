"""Softplus with its slope, and the adjoint of both written out.

h = log(1 + exp(beta a)) / beta,   s = dh/da = 1 / (1 + exp(-beta a)),   ds/da = beta s (1 - s), hence
a_bar = s (h_bar + beta (1 - s) s_bar).

Value and slope are both outputs: the gradient of a field in closed form multiplies slopes. The adjoint takes three
passes over memory without an exponential, where torch's own takes six with one. A kernel for it was slower than
torch's vectorised passes (docs/decisions/0011-one-kernel-per-ray.md).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

STRAIGHT = 40.0  # beta a beyond which Softplus is the identity to the last bit, in double precision too
RELEASED_STRAIGHT = 20.0  # where torch, and with it the released code, takes it for the identity


def softplus(before: Tensor, beta: float, straight: float = STRAIGHT) -> tuple[Tensor, Tensor]:
    """Value and slope, both (N, W), of Softplus at before (N, W). Differentiable once.

    straight: beta a beyond which it counts as the identity, and its slope as 1.
    """
    if before.ndim != 2:
        raise ValueError(f"softplus: expected (N, W), got {tuple(before.shape)}")
    return _Softplus.apply(before, beta, straight)


class _Softplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, before: Tensor, beta: float, straight: float) -> tuple[Tensor, Tensor]:
        scaled = before * beta
        if straight < STRAIGHT:  # else the slope is 1 there by itself
            scaled.masked_fill_(scaled > straight, math.inf)
        slope = scaled.sigmoid_()
        ctx.save_for_backward(slope)
        ctx.beta, ctx.straight = beta, straight
        return F.softplus(before, beta=beta, threshold=straight), slope

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, value_bar: Tensor, slope_bar: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        if ctx.straight < STRAIGHT:  # rounded as ever: runs of preset `idr` repeat bit by bit across versions
            return slope * (value_bar + ctx.beta * slope_bar * (1 - slope)), None, None
        through_slope = torch.addcmul(slope_bar, slope, slope_bar, value=-1)
        return torch.add(value_bar, through_slope, alpha=ctx.beta).mul_(slope), None, None
