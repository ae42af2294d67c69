"""What stands out of the support in most photos: where the object is, whether or not it has points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from skimage.measure import label

from ..capture.hulls import enlarged, looked_at
from ..ops.visual_hull import visual_hull
from ..structure.region import Region
from ..types import Cameras, Plane
from .small_photos import SmallPhoto, cameras_of
from .table import table_picture

STANDS_OUT = 4.0  # of a photo's usual difference from the support's picture
CONTRADICTED = 0.1  # share of the photos that may show the support behind a point of the object
SHOWN = 0.2  # share of the photos, at least, that show there what the support is not
FOOT = 1.0  # cells above the support, below which nothing stands out
MIDDLE = 0.4  # of the ball's radius: width of the Gaussian by which parts about its middle count more
SMALLEST = 30  # cells
LEAST_USUAL = 0.5  # CIELAB: of photos without noise
WINDOW = 3  # pixels over which differences are averaged
ROUNDS, TABLE_CELLS = 3, 256  # coarse, since what stands out is
STRIDE, COARSE = 2, 4  # pixels


def standing_out(photos: Sequence[SmallPhoto], region: Region, cells: int, rounds: int = ROUNDS) -> np.ndarray:
    """(cells, cells, cells) bool over the region's ball, as `places` has it: the part about its middle where most
    photos show what the support is not. Nothing, where no such part is.

    rounds: the first one may miss the object's foot.
    """
    found = np.zeros((cells,) * 3, bool)
    if region.support is None:
        return found
    cameras = cameras_of(photos, region.T_region_world(region.support.normal))
    for _ in range(rounds):
        # What stands where every photo hides the support looks like its paint: nothing below the object is known.
        below = down_to_floor(ndimage.binary_erosion(found))
        free = silhouettes(below, cameras, [photo.shape for photo in photos], COARSE)
        found = _main_part(_carved(photos, region, region.support, cameras, free, cells))
    return found


def _carved(
    photos: Sequence[SmallPhoto], region: Region, support: Plane, cameras: Cameras, likely: list[np.ndarray], cells: int
) -> np.ndarray:
    """likely: V of (h, w) bool, what is no support for all that is known; all False where nothing is."""
    table = table_picture(photos, likely, region, support, TABLE_CELLS)
    told = any(mask.any() for mask in likely)
    differences = [table.difference(photo, part if told else None) for photo, part in zip(photos, likely, strict=True)]
    away = in_usual(differences, likely)
    other = [np.isfinite(values) & (smoothed(values) > STANDS_OUT) for values in away]
    perhaps = [mask | np.isnan(values) for mask, values in zip(other, away, strict=True)]
    possible = visual_hull(perhaps, cameras, cells, min_fraction=1 - CONTRADICTED)
    shown = visual_hull(other, cameras, cells, min_fraction=0.0, min_inside=SHOWN)
    where = places(cells)
    lowest = -support.height(region.centre[None])[0] / region.radius + FOOT * 2 / (cells - 1)
    return (possible & shown).cpu().numpy() & (where[..., 2] > lowest) & (np.linalg.norm(where, axis=-1) < 1)


def _main_part(solid: np.ndarray) -> np.ndarray:
    if solid.sum() < SMALLEST:
        return np.zeros_like(solid)
    parts = np.asarray(label(ndimage.binary_dilation(solid)))
    weight = np.exp(-0.5 * (np.linalg.norm(places(len(solid))[solid], axis=1) / MIDDLE) ** 2)
    return solid & (parts == np.bincount(parts[solid], weight).argmax())


def down_to_floor(solid: np.ndarray) -> np.ndarray:
    """With all that is below it."""
    return np.maximum.accumulate(solid[:, :, ::-1], axis=2)[:, :, ::-1]


def places(cells: int) -> np.ndarray:
    """(cells, cells, cells, 3): points of [-1, 1]^3 in the region's frame, the support's normal along z."""
    return np.stack(np.meshgrid(*[np.linspace(-1, 1, cells)] * 3, indexing="ij"), axis=-1)


def in_usual(differences: Sequence[np.ndarray], likely: Sequence[np.ndarray]) -> list[np.ndarray]:
    """V of (h, w), in their median over what is thought to be background; likely: V of (h, w) bool, the object."""
    values = [away[np.isfinite(away) & ~mask] for away, mask in zip(differences, likely, strict=True)]
    joined = np.concatenate(values)
    usual = max(LEAST_USUAL, float(np.median(joined))) if len(joined) else LEAST_USUAL
    return [away / usual for away in differences]


def smoothed(away: np.ndarray) -> np.ndarray:
    """Differences (h, w), the mean over those that are known near by."""
    known = np.isfinite(away)
    weight = ndimage.uniform_filter(known.astype(float), WINDOW)
    return ndimage.uniform_filter(np.where(known, away, 0), WINDOW) / np.maximum(weight, 1e-6)


def silhouettes(
    hull: np.ndarray, cameras: Cameras, shapes: Sequence[tuple[int, ...]], stride: int = STRIDE
) -> list[np.ndarray]:
    """What photos of these heights and widths would show of a hull, (h, w) bool; asked at every `stride`-th pixel,
    since cells are coarser."""
    lattice, found = torch.from_numpy(np.ascontiguousarray(hull)), []
    for view, shape in enumerate(shapes):
        rows, columns = (np.arange(0, side, stride) for side in shape)
        pixels = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(1, -1, 2)
        seen = looked_at(lattice, cameras[[view]], pixels).reshape(len(rows), len(columns))
        found.append(enlarged(seen, stride, shape))
    return found
