"""Twin of ops/patch_align.py: Lucas and Kanade's method with whole patches as rows."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_CONTRAST, RIDGE = 1e-4, 1e-3


def align_patches(
    photo: Tensor, patches: Tensor, there: Tensor, start: Tensor, *, spread: float, steps: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Least squares of standardised values, linear in the shift, again and again."""
    count, middle, ridge = len(patches), there[:, there.shape[1] // 2, None], RIDGE * torch.eye(2).to(photo)
    place, shift = middle + spread * (there - middle), start
    likeness, contrast, H = photo.new_zeros(count), photo.new_zeros(count), photo.new_zeros(count, 2, 2)
    for _ in range(steps):
        value, slope = bilinear(photo, place + shift[:, None])
        centred = value - value.mean(dim=1, keepdim=True)
        contrast = centred.square().mean(dim=1).sqrt() + LEAST_CONTRAST
        value = centred / contrast[:, None]
        likeness = (value * patches).mean(dim=1)
        slope = (slope - slope.mean(dim=1, keepdim=True)) / contrast[:, None, None]
        H = slope.transpose(1, 2) @ slope
        step = torch.linalg.solve(H + ridge, (slope * (patches - value)[..., None]).sum(dim=1))
        shift = shift + step.clamp(-2.0 * spread, 2.0 * spread)
    return shift, likeness, contrast, H


def bilinear(photo: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """Values (...) and slopes (..., 2) of a photo (H, W) at pixel (..., 2); beyond the edge what is at it."""
    height, width = photo.shape
    place = torch.minimum(pixel.clamp(min=0), torch.tensor([width, height]).to(pixel) - 1.001)
    corner = place.floor()
    right, down = (place - corner).unbind(-1)
    index = corner[..., 1].long() * width + corner[..., 0].long()
    a, b, c, d = (photo.reshape(-1)[index + step] for step in (0, 1, width, width + 1))
    top, bottom = a + right * (b - a), c + right * (d - c)
    slope = torch.stack([(b - a) * (1 - down) + (d - c) * down, bottom - top], dim=-1)
    return top + down * (bottom - top), slope
