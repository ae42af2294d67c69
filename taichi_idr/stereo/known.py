"""Depth that a capture brings along, in the place of what stereo would have found."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool3d

from ..ops.patch_consistency import UNSEEN
from .local_planes import fitted_planes
from .small_photos import SmallPhotos
from .sweeping import ALIKE, WINDOW, Depths

CERTAIN = 1.0  # likeness of photos where depth was known before


def known_inverse(photos: SmallPhotos, hull: Tensor) -> Tensor:
    """Inverse depth (N,) of object pixels that a capture has brought along; 0 where it has none, or one outside the
    hull (M, M, M) bool over [-1, 1]^3, grown by a cell."""
    if photos.known is None:
        return torch.zeros_like(photos.pitch)
    inverse = photos.known
    near = max_pool3d(hull[None, None].float(), 3, stride=1, padding=1)[0, 0] > 0
    points = photos.origins + photos.directions / torch.where(inverse > 0, inverse, 1)[:, None]
    place = ((points + 1) * ((len(hull) - 1) / 2)).round().long()
    within = ((place >= 0) & (place < len(hull))).all(dim=1)
    inside = within & near.to(place.device)[tuple(place.clamp(0, len(hull) - 1).T)]
    return torch.where(inside, inverse, 0)


def nothing_found(photos: SmallPhotos) -> Depths:
    """As stereo says it of photos without texture."""
    nothing = torch.full_like(photos.pitch, UNSEEN)
    return Depths(photos, torch.zeros_like(photos.directions), nothing)


def with_known(found: Depths, known: Tensor) -> Depths:
    """Depths with those of known (N,) inverse depth in the place of what was found; planes through these and what is
    beside them."""
    if not bool((known > 0).any()):
        return found
    photos, inverse = found.photos, torch.where(known > 0, known, found.inverse)
    fitted = fitted_planes(photos, inverse, ALIKE * photos.pitch * inverse, WINDOW)
    planes = torch.where((known > 0)[:, None], fitted, found.planes)
    return Depths(photos, planes, torch.where(known > 0, CERTAIN, found.likeness))
