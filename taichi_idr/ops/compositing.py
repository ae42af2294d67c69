"""Bridge to the weights of samples along rays (kernels/compositing.py)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import runtime
from ..kernels import compositing as kernels


def weights(alpha: Tensor) -> Tensor:
    """Share (R, S) of what each ray's pixel shows that comes from each of its samples, from the camera on.

    alpha (R, S) in [0, 1]: how much of the light each sample stops. What a ray's weights lack of 1 gets through to the
    background. Differentiable once in alpha.
    """
    if alpha.ndim != 2:
        raise ValueError(f"weights: expected alpha (R, S), got {tuple(alpha.shape)}")
    return _Weights.apply(alpha)


class _Weights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, alpha: Tensor) -> Tensor:
        alpha = alpha.detach().contiguous()
        ctx.save_for_backward(alpha)
        weight = torch.empty_like(alpha)
        if alpha.numel():
            runtime.launch(kernels.composite, alpha, weight)
        return weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight_bar: Tensor) -> Tensor:
        (alpha,) = ctx.saved_tensors
        alpha_bar = torch.empty_like(alpha)
        if alpha.numel():
            runtime.launch(kernels.composite_adjoint, alpha, weight_bar.contiguous(), alpha_bar)
        return alpha_bar
