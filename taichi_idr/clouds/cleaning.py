"""Fewer points, and none that lie apart from all surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import BadInput
from ..nearest import tree_of
from .cloud import Cloud
from .neighbours import in_chunks, neighbours

LEAST_POINTS = 10
FAR = 100.0  # sizes of the cloud, by the distance that 95 % stay below: farther away nothing is looked at
FIRST_CELL = 1e-4  # of that size
CROWDED = 4.0  # points of the usual cell from which one alone in its cell says little
FLAT = 1e-4  # thickness over length of what has no inside
STRIDES = (1, 10, 100)
SPARSEST = 4.0
SEED = 0


@dataclass(frozen=True)
class Thinned:
    """cloud: what is left. outliers: points that were left out as such; merged: points that became one with others."""

    cloud: Cloud
    outliers: int
    merged: int


def cleaned(cloud: Cloud, *, most: int, count: int, apart: float) -> Thinned:
    """About `most` points at the most, without outliers; those of a cell are averaged.

    count: neighbours that are asked. apart: times farther from them than they from theirs, a point is an outlier.
    Raises BadInput where nothing is left that could have an inside.
    """
    began = len(cloud)
    near = cloud[_near(cloud.points)]
    thin, sizes = _thinned(near, most)
    kept = thin[on_surfaces(thin.points, count, apart, sizes)]
    if len(kept) > 2 * most:
        kept = kept[:: -(-len(kept) // most)]
    _check_shape(kept.points)
    outliers = began - len(near) + len(thin) - len(kept)
    return Thinned(kept, outliers, len(near) - len(thin))


def on_surfaces(points: np.ndarray, count: int, apart: float, sizes: np.ndarray | None = None) -> np.ndarray:
    """Which of points (N, 3) are no outliers: those about as close to their neighbours as these are to theirs.

    sizes (N,): how many points each one was before. One that was alone in its cell is as far from others as any: here
    distances are as they were when so many lay in these cells, and those that were many are asked more often.

    That is the local outlier factor of Breunig et al., 2000, in its plainest form, asked three times: of the `count`
    nearest points, of as many in a tenth of all and in a hundredth, which are farther away. The nearest of an outlier
    may be outliers, of a thousand most lie on a surface; and where density changes slowly none differs much. Far from
    everything all are outliers: there no point is SPARSEST times as far from its neighbours as the usual one.
    """
    if len(points) <= count:
        return np.ones(len(points), bool)
    sizes = np.ones(len(points), int) if sizes is None else sizes
    distance, index = neighbours(points, count)
    mean = distance.mean(axis=1) / np.sqrt((sizes + sizes[index].sum(axis=1)) / (count + 1))
    drawn = np.random.default_rng(SEED).choice(len(points), len(points), p=sizes / sizes.sum())
    passes = mean <= SPARSEST * np.median(mean[drawn])
    for stride in STRIDES:
        some = np.unique(drawn[::stride])
        if len(some) > 2 * count:
            for part, (_, index) in in_chunks(tree_of(points[some]), points, count):
                passes[part] &= mean[part] <= apart * np.median(mean[some[index]], axis=1)
    return passes


def _near(points: np.ndarray) -> np.ndarray:
    """Which points are within FAR sizes: one at the end of the world would leave no digits for the others."""
    distance = np.abs(points - np.median(points, axis=0)).max(axis=1)
    return distance <= FAR * np.quantile(distance, 0.95)


def _thinned(cloud: Cloud, most: int) -> tuple[Cloud, np.ndarray]:
    """Points of a cell as one, in cells so large that `most` are left, not counting those alone in a crowd; how many
    each was."""
    from_middle = cloud.points - np.median(cloud.points, axis=0)
    cell = FIRST_CELL * float(np.quantile(np.abs(from_middle).max(axis=1), 0.95))
    if cell == 0:
        raise _no_inside("all of them lie in one place")
    while True:
        _, group, counts = np.unique(_cells(from_middle, cell), return_inverse=True, return_counts=True)
        crowded = len(cloud) > CROWDED * len(counts)
        left = int((counts > 1).sum()) if crowded else len(counts)
        if left <= most:
            return _merged(cloud, group, counts), counts
        cell *= max(np.sqrt(left / most), 1.05)


def _cells(points: np.ndarray, cell: float) -> np.ndarray:
    """One number for each cell."""
    place = np.floor(points / cell).astype(np.int64)
    place -= place.min(axis=0)
    extent = place.max(axis=0) + 1
    return (place[:, 0] * extent[1] + place[:, 1]) * extent[2] + place[:, 2]


def _merged(cloud: Cloud, group: np.ndarray, counts: np.ndarray) -> Cloud:
    """Means of points and colours, sums of normals."""

    def total(values: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(group, column, len(counts)) for column in values.T], axis=1)

    middle = np.median(cloud.points, axis=0)
    points = total(cloud.points - middle) / counts[:, None] + middle
    normals = None if cloud.normals is None else total(np.nan_to_num(cloud.normals)).astype(np.float32)
    colours = None if cloud.colours is None else np.rint(total(cloud.colours) / counts[:, None]).astype(np.uint8)
    return Cloud(points, normals, colours)


def _check_shape(points: np.ndarray) -> None:
    if len(points) < LEAST_POINTS:
        raise _no_inside(f"{len(points)} are left that are no outliers, at least {LEAST_POINTS} are needed")
    extents = np.linalg.svd(points - points.mean(axis=0), compute_uv=False, full_matrices=False)
    if extents[2] <= FLAT * extents[0]:
        raise _no_inside(f"all of them lie {'in one plane' if extents[1] > FLAT * extents[0] else 'on one line'}")


def _no_inside(why: str) -> BadInput:
    return BadInput("points without an inside", why=why, todo="scan the object from all sides")
