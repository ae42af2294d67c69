"""The ball that holds the object, by what stands out of its support: parts without texture have no points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..nearest import tree_of
from ..structure.region import FEWEST_POINTS, Region, ball_around, no_object
from .small_photos import SmallPhoto
from .standing_out import places, standing_out

CELLS = 64
WIDER, WHOLE, TRIALS = 1.5, 0.93, 4
"""Radius of the ball that is searched, in the region's; share of it beyond which what stands out may be cut off: then a
wider ball about that is searched, so many times."""
HELD, BESIDE = 0.5, 2 * 2 / (CELLS - 1)
"""Share of the known points that lie so near to what stands out, in the searched ball, if that is the object."""
ROOM = 1.2  # radius of the region in that of what stands out


def sighted_region(region: Region, photos: Sequence[SmallPhoto], points: np.ndarray) -> Region:
    """The region whose ball lies about what stands out of the support, where that is plain to see; else as it is.

    photos: of all views. points (N, 3): those of the structure. Raises BadInput where neither points nor photos tell of
    an object.
    """
    known = points[region.is_object]
    guessed = len(known) < FEWEST_POINTS
    found = region
    for _ in range(TRIALS):
        wide = replace(found, radius=WIDER * found.radius)
        seen = _seen(wide, photos, known[:0] if guessed else known)
        if len(seen) == 0:
            break
        centre, radius = ball_around(seen)
        found = replace(region, centre=centre, radius=ROOM * radius)
        if np.linalg.norm(seen - wide.centre, axis=1).max() < WHOLE * wide.radius:
            return found
    if guessed:
        raise no_object(len(known))
    return region


def _seen(wide: Region, photos: Sequence[SmallPhoto], known: np.ndarray) -> np.ndarray:
    """Points (N, 3), world, of the part in the ball that stands out of the support; none where that is not what the
    known points, if any, are of."""
    solid = standing_out(photos, wide, CELLS, rounds=1)
    if wide.support is None or not solid.any():
        return np.zeros((0, 3))
    T = wide.T_region_world(wide.support.normal)
    seen, back = places(CELLS)[solid], np.linalg.inv(T)
    if len(known):
        away, _ = tree_of(seen).query(known @ T[:3, :3].T + T[:3, 3])
        if (away < BESIDE).mean() < HELD:
            return np.zeros((0, 3))
    return seen @ back[:3, :3].T + back[:3, 3]
