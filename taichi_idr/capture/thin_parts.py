"""Parts of an object that are thinner than a lattice's cells: its points alone miss them, and a hull lacks them."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import binary_dilation
from torch import Tensor

from ..cameras.pinhole import every_nth_pixel
from ..ops.visual_hull import visual_hull
from ..types import Cameras
from .hulls import CELL_PIXELS, Silhouettes, pixels_meet, stride_for

HALF_DIAGONAL = np.sqrt(3) / 2  # cells: no place is farther from a point of the lattice
FEWEST = 3  # small pixels of a view, for it to count


def with_thin_parts(hull: Tensor, views: Silhouettes, cameras: Cameras, *, min_fraction: float) -> Tensor:
    """A hull (M, M, M) bool over [-1, 1]^3, and points on rays of object pixels that pass it by.

    Such a point needs what any other needs, of silhouettes that are grown by half a cell's diagonal, and as many photos
    whose object pixels nothing explains. cameras: V, in the frame of the lattice.
    """
    every = stride_for(cameras, len(hull))
    small, seen_by = views.thinned(every), every_nth_pixel(cameras, every)
    reach = int(np.ceil(HALF_DIAGONAL * CELL_PIXELS))
    unexplained = [_grown(part, reach) for part in _passing_by(hull, small, seen_by)]
    if not any(part.any() for part in unexplained):
        return hull
    grown = Silhouettes([_grown(mask, reach) for mask in small.masks], small.names, small.ignored)
    wide = grown.hull(seen_by, len(hull), min_fraction=min_fraction)
    return hull | (wide & visual_hull(unexplained, seen_by, len(hull), min_fraction=0.0))


def _passing_by(hull: Tensor, views: Silhouettes, cameras: Cameras) -> list[np.ndarray]:
    """Object pixels (H, W) bool of each view whose rays miss the hull and what is next to it; none of a few."""
    around = torch.from_numpy(binary_dilation(hull.cpu().numpy(), np.ones((3, 3, 3))))
    found = []
    for view, mask in enumerate(views.masks):
        row, column = np.nonzero(mask & ~mask.all())
        places = np.stack([column, row], axis=1)
        missed = ~pixels_meet(around, cameras, np.full(len(row), view), places, radius=1.0)
        part = np.zeros_like(mask)
        part[row[missed], column[missed]] = np.count_nonzero(missed) >= FEWEST
        found.append(part)
    return found


def _grown(pixels: np.ndarray, reach: int) -> np.ndarray:
    return np.asarray(binary_dilation(pixels, np.ones((2 * reach + 1, 2 * reach + 1))), dtype=bool)
