"""Bridge to ray generation (kernels/raygen.py)."""

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
    Differentiable once in quaternions and centres; the others are constants.
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
        quaternions, _centres, *constants = inputs
        ctx.save_for_backward(quaternions, *constants)
        return origins, directions

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, origin_bar: Tensor, direction_bar: Tensor) -> tuple[Tensor | None, ...]:
        quaternions, *constants = ctx.saved_tensors
        quaternion_bar, centre_bar = (quaternions.new_zeros(len(quaternions), size) for size in (4, 3))
        if len(origin_bar):
            cotangents = (origin_bar.contiguous(), direction_bar.contiguous(), quaternion_bar, centre_bar)
            runtime.launch(kernels.generate_rays_adjoint, quaternions, *constants, *cotangents)
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
    least, most = view_index.aminmax() if rays else (0, -1)
    if not (least >= 0 and most < views):
        raise ValueError(f"generate_rays: view_index must lie in 0 ... {views - 1}")
