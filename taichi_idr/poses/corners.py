"""Well-marked places of photos, and what is around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..capture.pixels import Photos
from ..ops.patch_consistency import ABSENT, SHADES

TEXTURE = 25  # pixels, side of the box above which brightness is shading
TELLING_PHOTOS = 20  # of which the most telling channel is measured
REACH = 5  # pixels from a patch's centre to its edge
CORNER_SCALE = 1.5  # pixels, of the structure tensor
CORNER_CELL = 15  # pixels between corners
CORNERS = 100  # at most, per view
SHRINKS = (2, 1)  # halvings of the photos' resolution on which patches are sought
PIXELS_AT_ONCE = 1 << 20  # bounds memory
FLAT = 1e-4  # deviation of patches that stay flat
CAMERA_NOISE = 1 / 255  # deviation of a pixel's brightness


@dataclass(frozen=True)
class Corners:
    """view (N,) long, pixel (N, 2) float64 u, v: well-marked places on the object.

    patches (N, resolutions, P): what the photo shows around them, standardised, on each resolution of SHRINKS, in the
    channel that the mixture (3,) of red, green and blue makes.
    """

    view: Tensor
    pixel: Tensor
    patches: Tensor
    mixture: np.ndarray

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, index: Tensor) -> Corners:
        return Corners(self.view[index], self.pixel[index], self.patches[index], self.mixture)


def find_corners(photos: Photos, between: Callable[[], None] = lambda: None) -> Corners:
    """Local maxima of the structure tensor's smaller eigenvalue, inside the object (Shi and Tomasi 1994).

    between: called for each photo, and may raise.
    """
    mixture, parts = most_telling(photos), []
    for view in range(len(photos.sizes)):
        between()
        photo, mask = photos.photo(view)
        shades = without_background(photo @ mixture, mask)
        pixel = _strongest(np.where(interior(mask), _corner_strength(shades), 0))
        patches = [GreyPhoto(shades, shrink).patches(pixel) for shrink in SHRINKS]
        parts.append((torch.full((len(pixel),), view), pixel, torch.stack(patches, dim=1)))
    view, pixel, patches = (torch.cat(part) for part in zip(*parts, strict=True))
    return Corners(view, pixel, patches, mixture)


class GreyPhoto:
    """A grey photo (H, W), blurred for a resolution `shrink` times lower."""

    def __init__(self, photo: np.ndarray, shrink: int) -> None:
        self.shrink = shrink
        self.values = torch.from_numpy(ndimage.gaussian_filter(photo, 0.5 * shrink, mode="nearest"))

    def patches(self, pixel: Tensor) -> Tensor:
        """What is around whole pixels (N, 2), standardised (N, P); beyond the edge what is at it."""
        most = torch.tensor(self.values.shape).flip(0) - 1
        place = torch.minimum((pixel[:, None] + self.shrink * square()).long().clamp(min=0), most)
        values = self.values[place[..., 1], place[..., 0]]
        centred = values - values.mean(dim=1, keepdim=True)
        return centred / (centred.square().mean(dim=1, keepdim=True).sqrt() + FLAT)


def square() -> Tensor:
    """Pixels (P, 2) float64 of a patch around its centre, the centre in the middle."""
    side = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
    return torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1).view(-1, 2)


def most_telling(photos: Photos) -> np.ndarray:
    """Unit mixture (3,) of red, green and blue in which the object's texture varies most."""
    covariance = np.zeros((3, 3))
    for view in range(0, len(photos.sizes), -(-len(photos.sizes) // TELLING_PHOTOS)):
        photo, mask = photos.photo(view)
        fine = photo - ndimage.uniform_filter(photo, TEXTURE, axes=(0, 1))
        fine = ndimage.gaussian_filter(fine, (1, 1, 0))[interior(mask)]
        covariance += fine.T @ fine
    direction = np.linalg.eigh(covariance)[1][:, -1]
    return (direction * np.where(direction.sum() < 0, -1, 1)).astype(np.float32)


def telling_shades(photos: Photos) -> Tensor:
    """All pixels (P,) int16 in the channel in which the object's texture varies most; ABSENT off the object."""
    mixture = torch.from_numpy(most_telling(photos)).to(photos.device) * (SHADES / 255)
    shades = torch.cat([(part.float() @ mixture).round().short() for part in photos.colours.split(PIXELS_AT_ONCE)])
    return shades.masked_fill_(~photos.objects, ABSENT)


def without_background(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Grey photo (H, W) whose background is the mean of the object nearby: outlines are no marks on a surface."""
    share, total = (ndimage.uniform_filter(x, 4 * REACH + 1) for x in (mask.astype(np.float32), photo * mask))
    return np.where(mask, photo, total / np.maximum(share, 1e-3))


def interior(mask: np.ndarray) -> np.ndarray:
    """Pixels (H, W) whose patch lies inside the mask, but for its corners."""
    return np.asarray(ndimage.binary_erosion(mask, iterations=REACH))


def _corner_strength(photo: np.ndarray) -> np.ndarray:
    down, right = np.gradient(ndimage.gaussian_filter(photo, 0.7))
    xx, yy, xy = (ndimage.gaussian_filter(p, CORNER_SCALE) for p in (right * right, down * down, right * down))
    return (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)


def _strongest(strength: np.ndarray) -> Tensor:
    """Pixels (N, 2) u, v float64 of the CORNERS highest peaks."""
    peaks = (strength == ndimage.maximum_filter(strength, CORNER_CELL)) & (strength > (CAMERA_NOISE / 10) ** 2)
    row, column = np.nonzero(peaks)
    best = np.argsort(-strength[row, column], kind="stable")[:CORNERS]
    return torch.from_numpy(np.stack([column[best], row[best]], axis=1).astype(np.float64))
