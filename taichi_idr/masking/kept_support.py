"""Masks with a disc of what the object stands on, for people who want it as part of the object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cameras.rotations import axes_about
from ..structure.features import opencv
from ..structure.region import Region
from ..types import Plane
from .small_photos import SmallPhoto

REACH = 0.95  # of the circle in which the region's ball meets the support
THICKNESS = 0.04  # of the region's radius: how much of the support goes with it
CORNERS = 256


def with_support(photos: Sequence[SmallPhoto], masks: Sequence[np.ndarray], region: Region) -> list[np.ndarray]:
    """V of (h, w) bool; as they are where the region knows no support."""
    if region.support is None:
        return list(masks)
    cv2, found = opencv(), []
    rim = _rim(region, region.support)
    for photo, mask in zip(photos, masks, strict=True):
        places, depth = photo.project(rim)
        disc = np.zeros(photo.shape, np.uint8)
        if (depth > 0).all():
            limit = 8 * max(photo.shape)
            cv2.fillConvexPoly(disc, np.rint(places.clip(-limit, limit)).astype(np.int32)[:, None], 1)
        found.append(mask | (disc > 0))
    return found


def underside(region: Region) -> Plane | None:
    """What the object and its piece of the support end at."""
    support = region.support
    return None if support is None else Plane(support.normal, support.offset - THICKNESS * region.radius)


def _rim(region: Region, support: Plane) -> np.ndarray:
    """Points (CORNERS, 3) of the disc's border, world."""
    height = float(support.height(region.centre[None])[0])
    radius = REACH * np.sqrt(max(region.radius**2 - height**2, 0.0))
    along = axes_about(support.normal)
    turns = np.arange(CORNERS) * 2 * np.pi / CORNERS
    foot = region.centre - height * support.normal
    return foot + radius * (np.cos(turns)[:, None] * along[0] + np.sin(turns)[:, None] * along[1])
