"""Bridge to the comparison of patches in two photos (kernels/patch_consistency.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import runtime
from ..cameras.pinhole import inverse_intrinsics
from ..cameras.rotations import rotation_matrices
from ..kernels import patch_consistency as kernels
from ..types import Cameras

UNSEEN = kernels.UNSEEN
TO_FRAME, TO_PIXEL, CENTRE = kernels.TO_FRAME, kernels.TO_PIXEL, kernels.CENTRE
ABSENT, SHADES = kernels.ABSENT, int(kernels.SHADES)


@dataclass(frozen=True)
class PosedPhotos:
    """V photos and their cameras as the kernels want them.

    shades (P,) int16: one channel of every pixel in units of 1 / SHADES, ABSENT off the object. layout (V, 3) int32:
    first pixel, height, width. cameras (V, 7, 3): R K^-1, K R^T, centre; of the runtime's type.
    """

    shades: Tensor
    layout: Tensor
    cameras: Tensor


def posed_photos(shades: Tensor, sizes: Tensor, cameras: Cameras) -> PosedPhotos:
    """Photos of shades (P,) int16, one after the other, of sizes (V, 2) height, width, in cameras (V, float64)."""
    settings = runtime.current()
    areas = sizes.prod(dim=1)
    layout = torch.cat([(torch.cumsum(areas, dim=0) - areas)[:, None], sizes], dim=1).int()
    R = rotation_matrices(cameras.quaternions)
    parts = [R @ inverse_intrinsics(cameras), cameras.intrinsics @ R.transpose(1, 2), cameras.centres[:, None]]
    return PosedPhotos(shades, layout, torch.cat(parts, dim=1).to(settings.device, settings.dtype))


def tangent_planes(points: Tensor, normals: Tensor, centres: Tensor) -> Tensor:
    """v (N, 3) of the planes v.(X - c) = 1 through points (N, 3), normal to normals (N, 3) of any length but zero.

    centres (N, 3): c. Differentiable in points and normals; planes through c have no v.
    """
    return normals / ((points - centres) * normals).sum(dim=1, keepdim=True)


def patch_likeness(
    planes: Tensor,
    photos: PosedPhotos,
    view: Tensor,
    pixel: Tensor,
    sources: Tensor,
    *,
    reach: int,
    spacing: int,
    least_contrast: float,
) -> Tensor:
    """Correlation (N, S) of the patches around pixels with what other photos show of their tangent planes.

    planes (N, 3): see `tangent_planes`, in the reference cameras. view (N,) int32, pixel (N, 2) int32 column, row: the
    reference. sources (N, S) int32: photos to compare with, -1 is none. A patch has (2 reach + 1)^2 pixels, `spacing`
    apart. UNSEEN where one of its pixels is beside photo or object in either view, or its values deviate by less than
    least_contrast (of 1). Differentiable once in the planes; where a patch becomes unseen, likeness jumps.
    """
    _check(planes, view, pixel, sources)
    return _PatchLikeness.apply(planes, photos, view, pixel, sources, reach, spacing, least_contrast)


class _PatchLikeness(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        planes: Tensor,
        photos: PosedPhotos,
        view: Tensor,
        pixel: Tensor,
        sources: Tensor,
        reach: int,
        spacing: int,
        least_contrast: float,
    ) -> Tensor:
        planes, sloped = planes.detach().contiguous(), ctx.needs_input_grad[0]
        likeness, slopes = planes.new_empty(sources.shape), planes.new_empty(*sources.shape, 3 if sloped else 0)
        if sources.numel():
            posed = (photos.shades, photos.layout, photos.cameras, view, pixel, planes, sources)
            settings = (reach, spacing, float(least_contrast), sloped)
            runtime.launch(kernels.patch_likeness, *posed, *settings, likeness, slopes)
        ctx.save_for_backward(slopes)
        return likeness

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, likeness_bar: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return ((likeness_bar[..., None] * slopes).sum(dim=1), *[None] * 7)


def _check(planes: Tensor, view: Tensor, pixel: Tensor, sources: Tensor) -> None:
    count = len(planes)
    shapes = {"planes": (planes, (count, 3)), "view": (view, (count,)), "pixel": (pixel, (count, 2))}
    for name, (tensor, shape) in shapes.items():
        if tensor.shape != shape:
            raise ValueError(f"patch_likeness: expected {name} {shape}, got {tuple(tensor.shape)}")
    if sources.ndim != 2 or len(sources) != count:
        raise ValueError(f"patch_likeness: expected sources ({count}, S), got {tuple(sources.shape)}")
