"""Bridge to the sweep of planes (kernels/plane_sweep.py)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from .. import runtime
from ..kernels import plane_sweep as kernels
from .patch_consistency import PosedPhotos

PLANES_PER_LAUNCH = 1 << 18
"""A launch stays below a second, so that a signal is heard."""


@dataclass(frozen=True)
class Sweep:
    """Planes v (first + k step), k < count, to try for N pixels: v (N, 3) in planes, first, step (N,), count (N,)."""

    planes: Tensor
    first: Tensor
    step: Tensor
    count: Tensor

    def __getitem__(self, index: slice) -> Sweep:
        return Sweep(self.planes[index], self.first[index], self.step[index], self.count[index])


def plane_sweep(
    photos: PosedPhotos,
    sources: Tensor,
    view: Tensor,
    pixel: Tensor,
    sweep: Sweep,
    *,
    reach: int,
    best: int,
    least_contrast: float,
) -> tuple[Tensor, Tensor]:
    """Factor (N,) of the plane under which each pixel's patch is most alike in other photos, and likeness (N,).

    sources (V, S) int32: photos to compare each with, -1 is none. view (N,) int32, pixel (N, 2) int32 column, row. A
    patch has (2 reach + 1)^2 pixels; its likeness is the mean over the `best` photos most alike, UNSEEN where fewer
    can be compared. Not differentiable.
    """
    _check(sweep, view, pixel, sources, photos)
    factor, likeness = torch.empty_like(sweep.first), torch.empty_like(sweep.first)
    for part in _parts(sweep.count):
        numbers = (reach, best, least_contrast)
        arrays = (photos.shades, photos.layout, photos.cameras, sources, view[part], pixel[part])
        tried = sweep[part]
        planes = (tried.planes, tried.first, tried.step, tried.count)
        runtime.launch(kernels.plane_sweep, *arrays, *planes, *numbers, factor[part], likeness[part])
    return factor, likeness


def _parts(count: Tensor) -> list[slice]:
    """Slices of the pixels with about PLANES_PER_LAUNCH planes each, one pixel at least."""
    ends = torch.cumsum(count.long(), dim=0).cpu()
    total = int(ends[-1]) if len(ends) else 0
    cuts = torch.searchsorted(ends, PLANES_PER_LAUNCH * torch.arange(1, max(1, -(-total // PLANES_PER_LAUNCH)))) + 1
    cuts = [0, *torch.unique(cuts).tolist(), len(count)]
    return [slice(a, b) for a, b in pairwise(cuts) if b > a]


def _check(sweep: Sweep, view: Tensor, pixel: Tensor, sources: Tensor, photos: PosedPhotos) -> None:
    count = len(sweep.planes)
    expected = {"view": (view, (count,)), "pixel": (pixel, (count, 2)), "planes": (sweep.planes, (count, 3))}
    expected |= {name: (getattr(sweep, name), (count,)) for name in ("first", "step", "count")}
    expected["sources"] = (sources, (len(photos.layout), sources.shape[-1]))
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise ValueError(f"plane_sweep: expected {name} {shape}, got {tuple(tensor.shape)}")
