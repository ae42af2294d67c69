"""Masks in another order than the cameras: found by looking for the order in which they fit.

A visual hull shows, from each of its own views, that view's mask and nothing else. Of masks in a wrong order this is
not true, in either direction: object pixels lie beside the silhouette of the hull that most views agree on, and
background lies in it. The order in which masks and silhouettes overlap most makes a better hull, and so on until
nothing moves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from ..errors import BadInput
from ..types import Cameras
from .formats.source import listed
from .hulls import COARSE, Samples, Silhouettes, looked_at, missed, sampled

RESOLUTION = 48  # of hulls on the way
ROUNDS, STARTS, SECONDS = 12, 12, 8.0
"""Of the search: rounds from one order, orders to start from, and what it may take in all."""
SUSPICIOUS = 0.004
"""Mean share of object pixels beside the hull: exact cameras have 0.000 to 0.003 (5 to 49 views, three captures)."""
DISPLACED, BETTER = 0.03, 3.0
"""An order is wrong where the masks that move have at least this share beside the hull, and another order this many
times less: rough cameras (to 6 degrees) gain less than 1.9 times by any order, exchanged masks at least 5 times."""
ROUGH = 5.0
"""Degrees between two views, within which a mask that fits the other one is no proof: rough poses of a film do that."""


def wrong_order(views: Silhouettes, cameras: Cameras) -> BadInput | None:
    """The error that names masks that fit other views, None where they fit best as they are.

    cameras: in a frame whose box [-1, 1]^3 holds the object.
    """
    given, samples = np.arange(len(views)), sampled(views)
    order = _best_order(views, cameras, samples)
    moved = order != given
    if not moved.any() or _angles(cameras, order).max() < ROUGH:
        return None
    before, after = (beside_hull(views, cameras, samples, one)[moved].mean() for one in (given, order))
    if before < DISPLACED or after * BETTER > before:
        return None
    pairs = [f"{views.names[view]} the mask of {views.names[order[view]]}" for view in np.flatnonzero(moved)]
    why = f"other masks fit better: view {listed(pairs)}"
    todo = "name each mask as its photo, and number the matrices in the photos' order"
    return BadInput("masks in the wrong order", where=f"{moved.sum()} of {len(views)} views", why=why, todo=todo)


def beside_hull(views: Silhouettes, cameras: Cameras, samples: Samples, order: np.ndarray | None = None) -> np.ndarray:
    """Share (V,) of each view's object pixels beside the hull that most views agree on, of masks in that order."""
    if order is not None:
        views, samples = views.ordered(order), samples.ordered(order)
    return missed(samples, looked_at(views.hull(cameras, COARSE), cameras, samples.places))


def _best_order(views: Silhouettes, cameras: Cameras, samples: Samples) -> np.ndarray:
    """order[v]: the mask that fits view v, by the start that leaves least beside the hull."""
    began, best, least = time.monotonic(), np.arange(len(views)), np.inf
    for start in _starts(len(views)):
        order = _settled(start, views, cameras, samples)
        left = beside_hull(views, cameras, samples, order).mean()
        if left < least:
            best, least = order, left
        if least < SUSPICIOUS or time.monotonic() - began > SECONDS:
            break
    return best


def _angles(cameras: Cameras, order: np.ndarray) -> np.ndarray:
    """Degrees (V,), seen from the frame's origin, between each view and the one whose mask it would have."""
    towards = torch.nn.functional.normalize(cameras.centres, dim=1)
    cosine = (towards * towards[torch.from_numpy(order.copy())]).sum(dim=1)
    return torch.rad2deg(torch.arccos(cosine.clamp(-1, 1))).numpy()


def _starts(count: int) -> Iterator[np.ndarray]:
    """As given, the other way round, shifted by one, and some at random."""
    given, random = np.arange(count), np.random.default_rng(0)
    yield from (given, given[::-1], np.roll(given, 1), np.roll(given, -1))
    for _ in range(STARTS - 4):
        yield random.permutation(count)


def _settled(order: np.ndarray, views: Silhouettes, cameras: Cameras, samples: Samples) -> np.ndarray:
    """The order at which the masks are those that overlap most with what each view sees of their hull."""
    for turn in range(ROUNDS):
        some = min(0.85, 0.7 + 0.03 * turn)  # at first few views agree on anything
        hull = views.ordered(order).hull(cameras, RESOLUTION, min_fraction=some)
        overlaps = _overlaps(looked_at(hull, cameras, samples.places), views.masks, samples)
        found = linear_sum_assignment(-overlaps)[1]
        if np.array_equal(found, order):
            break
        order = found
    return order


def _overlaps(seen: np.ndarray, masks: Sequence[np.ndarray], samples: Samples) -> np.ndarray:
    """Intersection over union (V, V) of each view's silhouette and each mask, of those of one size."""
    shown = (samples.shown & samples.counted).astype(np.float32)
    both = seen.astype(np.float32) @ shown.T
    either = seen.sum(axis=1)[:, None] + shown.sum(axis=1)[None] - both
    sizes = np.array([mask.shape for mask in masks])
    alike = (sizes[:, None] == sizes[None]).all(axis=2)
    return np.where(alike, both / np.maximum(either, 1), -1.0)
