"""Bridge to the differentiable intersection (kernels/intersection.py, Lemma 1)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import runtime
from ..kernels import intersection as kernels
from ..types import Rays


def surface_points(
    origins: Tensor,
    directions: Tensor,
    depth: Tensor,
    sdf_value: Tensor,
    normal: Tensor,
    *,
    grazing: float,
) -> tuple[Tensor, Tensor]:
    """Points (R, 3) where rays meet the surface, and how many had |n.v| below `grazing` (a tensor without axes).

    origins, directions (R, 3): the rays, attached to the cameras. depth (R,): as traced, a constant. sdf_value (R,):
    f at the *detached* traced point, attached to the field's parameters. normal (R, 3): grad f there, a constant,
    not normalised. All in the normalised frame.
    The value is exactly `Rays.at(depth)`, whatever sdf_value is. Differentiable once in origins, directions and
    sdf_value; these gradients are totals, so f must not depend on the rays again through its point. Silhouettes,
    where hits appear and vanish, are not handled: they are the mask loss's.
    """
    _check(origins, directions, depth, sdf_value, normal)
    clamped = ((normal.detach() * directions.detach()).sum(dim=1).abs() < grazing).sum()
    return _SurfacePoints.apply(origins, directions, sdf_value, depth, normal, grazing), clamped


class _SurfacePoints(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        origins: Tensor,
        directions: Tensor,
        sdf_value: Tensor,
        depth: Tensor,
        normal: Tensor,
        grazing: float,
    ) -> Tensor:
        ctx.save_for_backward(*(tensor.detach().contiguous() for tensor in (directions, depth, normal)))
        ctx.grazing = grazing
        return Rays(origins, directions).at(depth)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, point_bar: Tensor) -> tuple[Tensor | None, ...]:
        directions, depth, normal = ctx.saved_tensors
        origin_bar, direction_bar = torch.empty_like(directions), torch.empty_like(directions)
        value_bar = torch.empty_like(depth)
        if len(depth):
            inputs = (directions, depth, normal, ctx.grazing, point_bar.contiguous())
            runtime.launch(kernels.surface_adjoint, *inputs, origin_bar, direction_bar, value_bar)
        return origin_bar, direction_bar, value_bar, None, None, None


def _check(origins: Tensor, directions: Tensor, depth: Tensor, sdf_value: Tensor, normal: Tensor) -> None:
    rays = len(depth)
    expected = {
        "origins": (origins, (rays, 3)),
        "directions": (directions, (rays, 3)),
        "depth": (depth, (rays,)),
        "sdf_value": (sdf_value, (rays,)),
        "normal": (normal, (rays, 3)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise ValueError(f"surface_points: expected {name} {shape}, got {tuple(tensor.shape)}")
