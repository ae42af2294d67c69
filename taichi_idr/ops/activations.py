"""Bridge to Softplus with its slope (kernels/activations.py).

Value and slope are both outputs: the gradient of a field in closed form multiplies slopes, and one pass of the adjoint
takes the cotangents of both. torch needs two forward and four backward passes over the same memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import runtime
from ..kernels import activations as kernels

LARGEST_BLOCK = 64  # columns in a kernel's local vectors


def softplus(before: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """log(1 + exp(beta a)) / beta (N, W) of a = before (N, W), and its derivative 1 / (1 + exp(-beta a)) (N, W).

    Differentiable once. In single precision within 1e-6 / beta of the exact value.
    """
    if before.ndim != 2:
        raise ValueError(f"softplus: expected (N, W), got {tuple(before.shape)}")
    return _Softplus.apply(before, beta)


class _Softplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, before: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        before = before.detach().contiguous()
        value, slope = torch.empty_like(before), torch.empty_like(before)
        if before.numel():
            exact = before.dtype == torch.float64
            runtime.launch(kernels.softplus, before, beta, exact, _block(before.shape[1]), value, slope)
        ctx.save_for_backward(slope)
        ctx.beta = beta
        return value, slope

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, value_bar: Tensor, slope_bar: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        before_bar = torch.empty_like(slope)
        if slope.numel():
            cotangents = (value_bar.contiguous(), slope_bar.contiguous())
            runtime.launch(kernels.softplus_adjoint, slope, *cotangents, ctx.beta, _block(slope.shape[1]), before_bar)
        return before_bar, None


def _block(width: int) -> int:
    """The largest power of two that divides the width, up to LARGEST_BLOCK."""
    return min(width & -width, LARGEST_BLOCK)
