"""Twin of ops/plane_sweep.py: every plane of every pixel by way of the points where the patch's rays meet it."""

from __future__ import annotations

import torch
from torch import Tensor

from ..ops.patch_consistency import ABSENT, SHADES, UNSEEN, PosedPhotos
from ..ops.plane_sweep import Sweep
from .patch_consistency import bilinear

LEAST_SHARE = 0.5


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
    """One plane after the other for all pixels, then the largest likeness of each."""
    most = int(sweep.count.max()) if len(view) else 0
    likeness = sweep.first.new_full((len(view), most + 2), UNSEEN)
    for k in range(most):
        planes = sweep.planes * (sweep.first + k * sweep.step)[:, None]
        pairs = _pairs(planes, photos, view, pixel, sources[view.long()], reach, least_contrast)
        alike = pairs.topk(best, dim=1).values
        mean = torch.where(alike[:, -1] > UNSEEN, alike.mean(dim=1), UNSEEN)
        likeness[:, k + 1] = torch.where(k < sweep.count, mean, UNSEEN)
    top, at = likeness.max(dim=1)
    at = torch.where(top > UNSEEN, at, 1)  # the first plane, where none can be compared
    factor = sweep.first + (at - 1) * sweep.step
    left, right = (likeness.gather(1, (at + side).clamp(0, most + 1)[:, None])[:, 0] for side in (-1, 1))
    bend = left - 2 * top + right
    peak = (left > UNSEEN) & (right > UNSEEN) & (bend < 0)
    return torch.where(peak, factor + sweep.step * (left - right) / (2 * bend), factor), top


def _pairs(
    planes: Tensor,
    photos: PosedPhotos,
    view: Tensor,
    pixel: Tensor,
    sources: Tensor,
    reach: int,
    least_contrast: float,
) -> Tensor:
    """Correlation (N, S) of the patches with what photos (N, S) show of planes (N, 3)."""
    side = torch.arange(-reach, reach + 1)
    square = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1).view(1, -1, 2).to(pixel)
    places = pixel[:, None] + square
    to_frame, centre = photos.cameras[view.long(), :3], photos.cameras[view.long(), 6:]
    directions = torch.cat([places, torch.ones_like(places[..., :1])], dim=-1).to(planes) @ to_frame.transpose(1, 2)
    # Points in homogeneous coordinates: planes may meet rays at infinity.
    inverse = (directions * planes[:, None]).sum(dim=-1)
    source = photos.cameras[sources.clamp(min=0).long()]
    shifted = directions[:, None] + inverse[:, None, :, None] * (centre[:, None] - source[..., 6:, :])
    seen = shifted @ source[..., 3:6, :].transpose(-1, -2)
    reference, there = _values(photos, view, places)
    found, whole = _found(photos, sources, seen[..., :2] / seen[..., 2:])
    usable = there[:, None] & whole & (seen[..., 2] > 0) & (sources >= 0)[..., None]
    usable = (usable & (inverse[:, inverse.shape[1] // 2] > 0)[:, None, None]).to(planes)
    n = usable.sum(dim=-1).clamp(min=1)
    r, w = (
        (x - (x * usable).sum(dim=-1, keepdim=True) / n[..., None]) * usable
        for x in (reference.to(found)[:, None], found)
    )
    B, C = (x.square().sum(dim=-1) for x in (r, w))
    bent = _bent_deviation(reference, there, square[0]) > least_contrast
    told = (
        bent[:, None]
        & (usable.sum(dim=-1) >= LEAST_SHARE * len(square[0]))
        & (torch.minimum(B, C) > n * least_contrast**2)
    )
    return torch.where(told, (r * w).sum(dim=-1) / torch.where(told, B * C, 1).sqrt(), UNSEEN)


def _bent_deviation(values: Tensor, there: Tensor, square: Tensor) -> Tensor:
    """Deviation (N,) of patches (N, P) from linear slopes along rows and along columns, each fitted alone."""
    shown = there.double()
    n = shown.sum(dim=1, keepdim=True).clamp(min=1)
    x, y, r = ((part - (part * shown).sum(dim=1, keepdim=True) / n) * shown for part in (*square.double().T, values))
    left = (r * r).sum(dim=1)
    for axis in (x, y):
        left = left - (axis * r).sum(dim=1) ** 2 / (axis * axis).sum(dim=1).clamp(min=1e-6)
    return (left.clamp(min=0) / n[:, 0]).sqrt()


def _values(photos: PosedPhotos, view: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Values (N, P) of whole pixels, and which are on photo and object (N, P)."""
    first, height, width = photos.layout[view.long()].long()[:, None].unbind(-1)
    column, row = places.long().unbind(-1)
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    value = photos.shades[torch.where(inside, first + row * width + column, 0)]
    return value.double() / SHADES, inside & (value != ABSENT)


def _found(photos: PosedPhotos, sources: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Bilinear values (N, S, P), and which of them are on photo and object."""
    each = place.reshape(-1, 1, 1, 2)
    view = sources.clamp(min=0)[..., None].expand(place.shape[:3]).reshape(-1, 1)
    value, whole = bilinear(photos, view, each)
    return value.view(place.shape[:3]), whole.view(place.shape[:3])
