"""Twin of ops/patch_consistency.py: points on the planes, projected; torch differentiates."""

from __future__ import annotations

import torch
from torch import Tensor

from ..ops.patch_consistency import ABSENT, SHADES, UNSEEN, PosedPhotos


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
    """Each pixel's ray meets its plane at a point, which the source camera sees somewhere."""
    side = spacing * torch.arange(-reach, reach + 1)
    square = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1).view(1, -1, 2).to(pixel)
    places = pixel[:, None] + square
    to_frame, centre = photos.cameras[view.long(), :3], photos.cameras[view.long(), 6:]
    directions = torch.cat([places, torch.ones_like(places[..., :1])], dim=-1).to(planes) @ to_frame.transpose(1, 2)
    depth = 1 / (directions * planes[:, None]).sum(dim=-1, keepdim=True)
    points = centre + depth * directions
    source = photos.cameras[sources.clamp(min=0).long()]
    seen = (points[:, None] - source[..., 6:, :]) @ source[..., 3:6, :].transpose(-1, -2)
    reference, fully = whole_pixels(photos, view, places)
    found, whole = bilinear(photos, sources.clamp(min=0), seen[..., :2] / seen[..., 2:])
    r, w = (values - values.mean(dim=-1, keepdim=True) for values in (reference.to(found)[:, None], found))
    B, C = (values.square().sum(dim=-1) for values in (r, w))
    least = reference.shape[-1] * least_contrast**2
    usable = (fully & (depth > 0).all(dim=1)[:, 0])[:, None] & whole & (sources >= 0) & (seen[..., 2] > 0).all(dim=-1)
    usable &= (least < B) & (least < C)
    likeness = (r * w).sum(dim=-1) / torch.where(usable, B * C, 1).sqrt()
    return torch.where(usable, likeness, UNSEEN)


def whole_pixels(photos: PosedPhotos, view: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Values (N, P) in [0, 1] of pixels (N, P, 2) of photos (N,), and where all P are on the object (N,)."""
    first, height, width = photos.layout[view.long()].long()[:, None].unbind(-1)
    column, row = place.long().unbind(-1)
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    value = photos.shades[torch.where(inside, first + row * width + column, 0)]
    return value.double() / SHADES, (inside & (value != ABSENT)).all(dim=-1)


def bilinear(photos: PosedPhotos, view: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Values (N, S, P) in [0, 1] at places (N, S, P, 2) of photos (N, S), and where all P are on the object (N, S)."""
    first, height, width = photos.layout[view.long()].long()[..., None, :].unbind(-1)
    size = torch.stack([width, height], dim=-1)
    inside = ((place >= 0) & (place < size - 1)).all(dim=-1)
    corner = torch.minimum(place.detach().nan_to_num().clamp(min=0), size - 2).floor()
    right, down = (place - corner).unbind(-1)
    column, row = corner.long().unbind(-1)
    index = torch.where(inside, first + row * width + column, 0)
    a, b, c, d = (photos.shades[index + step].to(place) for step in (0, 1, width, width + 1))
    on_object = torch.stack([a, b, c, d]).amin(dim=0) > ABSENT
    top, bottom = a + right * (b - a), c + right * (d - c)
    return (top + down * (bottom - top)) / SHADES, (inside & on_object).all(dim=-1)
