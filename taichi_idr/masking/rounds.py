"""Masks of all photos: each is cut knowing support and backdrop, then twice again knowing what most masks say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage
from skimage.measure import label

from ..machine import available_cores
from ..ops.visual_hull import visual_hull
from ..structure.model import Structure
from ..structure.region import Region
from ..types import Cameras
from .backdrop import backdrop_differences
from .cutting import BACKGROUND, LIKELY_BACKGROUND, LIKELY_OBJECT, OBJECT, cut
from .seeds import first_seeds, narrowed
from .small_photos import SmallPhoto, cameras_of
from .standing_out import WINDOW, down_to_floor, in_usual, silhouettes, smoothed, standing_out
from .table import table_picture

SAME, OTHER = 2.5, 6.0
"""Differences from support or backdrop, in the usual one of background: up to the first a pixel shows these, from the
second on likely the object."""
LATTICE = 96
SURE, ANY = 0.9, 0.7  # share of the photos that show a point on the object, for what is surely of it, and may be
ROUNDS = 2  # of knowing what most masks say: the second finds what was lost in several neighbouring photos
DEEP = 3  # cells below the surface of the sure hull: a shadow at the object's foot is in all masks, and thin
FEW_POINTS = 100  # of the object, below which what stands out of the support is asked too: points are more exact
SURE_SHARE, SPECK = 0.02, 0.01
"""Of a part's pixels, that are known to be the object, for it to stay; of the largest part's, below which it goes."""


def object_masks(photos: list[SmallPhoto], structure: Structure, region: Region) -> list[np.ndarray]:
    """V of (h, w) bool: the object in small photos."""
    up = np.array([0.0, 0.0, 1.0]) if region.support is None else region.support.normal
    cameras = cameras_of(photos, region.T_region_world(up))
    first = [first_seeds(photo, view, structure, region) for view, photo in enumerate(photos)]
    hidden = [np.zeros(photo.shape, bool) for photo in photos]  # all the support that no photo may show
    if region.is_object.sum() < FEW_POINTS:
        solid = standing_out(photos, region, LATTICE)
        first = _seen_too(first, solid, cameras)
        hidden = silhouettes(down_to_floor(solid), cameras, [photo.shape for photo in photos])
    likely = [np.isin(seed, (OBJECT, LIKELY_OBJECT)) for seed in first]
    first = [narrowed(seed) for seed in first]
    backdrop = backdrop_differences(photos)
    likely = [mask | below for mask, below in zip(likely, hidden, strict=True)]
    seeds = _beside_background(photos, first, likely, region, backdrop)
    masks = _cut_all(photos, seeds)
    likely = [mask | below for mask, below in zip(masks, hidden, strict=True)]
    seeds = _beside_background(photos, first, likely, region, backdrop)  # the support is seen nearer to the object now
    lowest = -np.inf if region.support is None else -region.support.height(region.centre[None])[0] / region.radius
    for _ in range(ROUNDS):
        masks = _cut_all(photos, _agreed(masks, seeds, cameras, lowest, more=backdrop is None))
    return masks


def _seen_too(seeds: list[np.ndarray], solid: np.ndarray, cameras: Cameras) -> list[np.ndarray]:
    """Seeds with what stands out of the support, a lattice over the region's ball: its core is of the object."""
    shapes = [seed.shape for seed in seeds]
    whole, core = (
        silhouettes(part, cameras, shapes) for part in (solid, ndimage.binary_erosion(solid, iterations=DEEP))
    )
    found = []
    for seed, shape, inside in zip(seeds, whole, core, strict=True):
        seed = np.where(shape & (seed == LIKELY_BACKGROUND), LIKELY_OBJECT, seed)
        found.append(np.where(inside & (seed == LIKELY_OBJECT), OBJECT, seed).astype(np.uint8))
    return found


def _beside_background(
    photos: list[SmallPhoto],
    seeds: list[np.ndarray],
    likely: list[np.ndarray],
    region: Region,
    backdrop: list[np.ndarray] | None,
) -> list[np.ndarray]:
    """Seeds with what the support's picture and a plain backdrop say; likely: V of (h, w) bool, pixels that may show
    the object; backdrop: V of (h, w), differences from it, where there is one."""
    behind = None if backdrop is None else in_usual(backdrop, likely)
    if region.support is None:
        return seeds if behind is None else [_told(*pair) for pair in zip(seeds, behind, strict=True)]
    table = table_picture(photos, likely, region, region.support)
    below = in_usual([table.difference(*pair) for pair in zip(photos, likely, strict=True)], likely)
    if behind is not None:  # what differs from the backdrop may be the support, where that is not known
        below = [np.where(np.isnan(t) & (b < SAME), b, t) for t, b in zip(below, behind, strict=True)]
    return [_told(*pair) for pair in zip(seeds, below, strict=True)]


def _cut_all(photos: Sequence[SmallPhoto], seeds: Sequence[np.ndarray]) -> list[np.ndarray]:
    masks = _each(lambda photo, seed: cut(photo.colour, seed), photos, seeds)
    return [_whole(mask, seed == OBJECT) for mask, seed in zip(masks, seeds, strict=True)]


def _each(work: Callable[[SmallPhoto, np.ndarray], np.ndarray], *parts: Sequence) -> list[np.ndarray]:
    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(work, *parts))


def _whole(mask: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Parts that hold something known to be the object, or the largest one; without holes of noise."""
    labels = np.asarray(label(mask, connectivity=1))
    if not mask.any():
        return mask
    sizes, sure = np.bincount(labels.ravel())[1:], np.bincount(labels[known], minlength=labels.max() + 1)[1:]
    kept = np.concatenate([[False], (sure > SURE_SHARE * sizes) & (sizes > SPECK * sizes.max())])
    kept[1 + int(sizes.argmax())] = True
    return kept[labels]


def _told(seeds: np.ndarray, away: np.ndarray) -> np.ndarray:
    """With what is known of the background, better than by single points of it."""
    known, smooth = np.isfinite(away), smoothed(away)
    told = seeds.copy()
    in_region = ndimage.binary_closing(seeds != BACKGROUND, iterations=WINDOW)  # single points of the support with it
    told[~known & in_region & (seeds == BACKGROUND)] = LIKELY_BACKGROUND  # they may be of the object's foot
    told[known & in_region & (smooth > OTHER) & (seeds != OBJECT)] = LIKELY_OBJECT
    told[known & in_region & (smooth < SAME)] = BACKGROUND
    return told


def _agreed(
    masks: list[np.ndarray], seeds: list[np.ndarray], cameras: Cameras, lowest: float, *, more: bool
) -> list[np.ndarray]:
    """Seeds with what most masks say of every pixel; nothing is below z = lowest. What is surely of the object may look
    like the support, a dark back before a dark table.

    more: whether they may say that a pixel shows the object; a plain backdrop knows better than the lattice.
    """
    hulls = [visual_hull(masks, cameras, LATTICE, min_fraction=share).cpu().numpy() for share in (SURE, ANY)]
    surely, possibly = ndimage.binary_erosion(hulls[0], iterations=DEEP), ndimage.binary_dilation(hulls[1])
    possibly[:, :, np.linspace(-1, 1, LATTICE) < lowest] = False
    shapes = [mask.shape for mask in masks]
    inner, whole, outer = (silhouettes(hull, cameras, shapes) for hull in (surely, hulls[0], possibly))
    found = []
    for seed, mask, inside, in_hull, possible in zip(seeds, masks, inner, whole, outer, strict=True):
        agreed = seed.copy()
        if more:
            agreed[in_hull & (seed == BACKGROUND)] = LIKELY_BACKGROUND
            agreed[inside] = np.where((mask | (seed == LIKELY_OBJECT))[inside], OBJECT, LIKELY_OBJECT)
        agreed[~possible] = BACKGROUND
        found.append(agreed)
    return found
