"""Planes through the depths around each pixel.

Seen from a camera, a plane's inverse depth is linear in the pixel: v.(F (column, row, 1)) = g.(column, row, 1) with
g = F^T v, so that a straight line fit to inverse depths is the plane, v = M^T g (M = F^-1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..ops.patch_consistency import TO_PIXEL
from .small_photos import SmallPhotos

TIGHTNESS = 1e-3  # pixels^2: a window with too few depths gives a plane parallel to the photo


def fitted_planes(photos: SmallPhotos, inverse: Tensor, alike: Tensor, reach: int) -> Tensor:
    """v (N, 3) of planes through the depths around the object pixels, of those (N,) that are within `alike` of the own.

    inverse (N,): inverse depths, 0 where none is known; there v is 0. A window has (2 reach + 1)^2 pixels.
    """
    height, width = photos.size
    table = torch.nn.functional.pad(photos.dense(inverse).view(-1, height, width), (reach,) * 4)
    wide = width + 2 * reach
    column, row = photos.pixel.long().unbind(1)
    middle = (photos.view.long() * (height + 2 * reach) + row + reach) * wide + column + reach
    flat, sums = table.reshape(-1), inverse.new_zeros(9, len(inverse))
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            there = flat[middle + down * wide + right]
            apart = there - inverse
            weight = ((there > 0) & (apart.abs() < alike)).to(inverse)
            x, y, z = right * weight, down * weight, apart * weight
            terms = (weight, x, y, z, right * x, right * y, down * y, right * z, down * z)
            sums += torch.stack(terms)
    slopes = _slopes(sums)
    level = inverse + (sums[3] - slopes[0] * sums[1] - slopes[1] * sums[2]) / sums[0].clamp(min=1)
    own = photos.pixel.to(inverse)
    g = torch.stack([*slopes, level - slopes[0] * own[:, 0] - slopes[1] * own[:, 1]], dim=1)
    M = photos.of_camera(TO_PIXEL, 3)
    planes = (M * g[:, :, None]).sum(dim=1)
    return torch.where((inverse > 0)[:, None], planes, 0)


def _slopes(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Of a least-squares plane, from the sums of 1, x, y, z, xx, xy, yy, xz, yz."""
    n, x, y, z, xx, xy, yy, xz, yz = sums
    n = n.clamp(min=1)
    a, b, c = xx - x * x / n + TIGHTNESS, xy - x * y / n, yy - y * y / n + TIGHTNESS
    p, q = xz - x * z / n, yz - y * z / n
    size = a * c - b * b
    return (c * p - b * q) / size, (a * q - b * p) / size
