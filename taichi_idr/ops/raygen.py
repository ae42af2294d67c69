"""Bridge to ray generation (kernels/raygen.py), whose derivative Taichi writes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import runtime
from ..kernels import raygen as kernels


def generate_rays(
    quaternions: Tensor, centres: Tensor, inverse_intrinsics: Tensor, view_index: Tensor, pixels: Tensor
) -> tuple[Tensor, Tensor]:
    """Origins (R, 3) and unit directions (R, 3), normalised frame, of the rays through pixels (CAM-1).

    quaternions (V, 4) w x y z, camera -> normalised, of any length; centres (V, 3); inverse_intrinsics (V, 3, 3) is
    K^-1; view_index (R,) int32; pixels (R, 2) u column, v row, integers being pixel centres.
    Differentiable once in quaternions and centres (not on vulkan: raises Unavailable); the others are constants.
    """
    return _GenerateRays.apply(quaternions, centres, inverse_intrinsics, view_index, pixels)


class _GenerateRays(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        _check(*inputs)
        inputs = tuple(tensor.detach().contiguous() for tensor in inputs)
        pixels = inputs[-1]
        origins, directions = (pixels.new_empty(len(pixels), 3) for _ in range(2))
        if len(pixels):
            runtime.launch(kernels.generate_rays, *inputs, origins, directions)
        ctx.save_for_backward(*inputs)
        return origins, directions

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, origin_bar: Tensor, direction_bar: Tensor) -> tuple[Tensor | None, ...]:
        quaternions, centres, inverse_intrinsics, view_index, pixels = ctx.saved_tensors
        quaternion_bar, centre_bar = torch.zeros_like(quaternions), torch.zeros_like(centres)
        if len(pixels):
            # Each ray gets a camera of its own: no two threads add to one row, and a view's sum has a fixed order.
            own = torch.arange(len(pixels), dtype=torch.int32, device=pixels.device)
            parameters = [(p[view_index], p.new_zeros(len(pixels), p.shape[1])) for p in (quaternions, centres)]
            outputs = [
                (torch.empty_like(bar, memory_format=torch.contiguous_format), bar.contiguous().clone())
                for bar in (origin_bar, direction_bar)
            ]
            constants = (inverse_intrinsics[view_index], own, pixels)
            runtime.launch_gradient(kernels.generate_rays, *parameters, *constants, *outputs)
            quaternion_bar.index_add_(0, view_index, parameters[0][1])
            centre_bar.index_add_(0, view_index, parameters[1][1])
        return quaternion_bar, centre_bar, None, None, None


def _check(
    quaternions: Tensor, centres: Tensor, inverse_intrinsics: Tensor, view_index: Tensor, pixels: Tensor
) -> None:
    views, rays = len(quaternions), len(pixels)
    expected = {
        "quaternions": (quaternions, (views, 4)),
        "centres": (centres, (views, 3)),
        "inverse_intrinsics": (inverse_intrinsics, (views, 3, 3)),
        "view_index": (view_index, (rays,)),
        "pixels": (pixels, (rays, 2)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise ValueError(f"generate_rays: expected {name} {shape}, got {tuple(tensor.shape)}")
    if view_index.dtype != torch.int32:
        raise ValueError(f"generate_rays: expected view_index int32, got {view_index.dtype}; call .int()")
    if rays and not (view_index.min() >= 0 and view_index.max() < views):
        raise ValueError(f"generate_rays: view_index must lie in 0 ... {views - 1}")
