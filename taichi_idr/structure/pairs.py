"""What two photos tell of each other by what both show: how they are turned, and in which direction one lies from the
other."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..machine import available_cores
from .features import Features, matched, opencv

FEWEST = 20  # matches that agree for a pair to count
LINE = 2e-3  # of the longer side: distance from the line on which a match has to lie
CONFIDENCE = 0.9999
FOCALS, USUAL_FOCAL = np.geomspace(0.6, 2.5, 14), 1.2  # in the longer side: those tried, and a phone's
TRIANGLES = 30  # of photos, that tell the focal length: those with most matches


@dataclass(frozen=True)
class Pair:
    """Of views one and other: links (M, 2), their features that agree; rotation (3, 3), one's camera -> the other's;
    direction (3,), unit: from one's centre to the other's, in one's camera."""

    one: int
    other: int
    links: np.ndarray
    rotation: np.ndarray
    direction: np.ndarray


def linked(features: Sequence[Features], candidates: Sequence[tuple[int, int]]) -> dict[tuple[int, int], np.ndarray]:
    """Links (M, 2) of pairs of views that have enough of them."""
    found = ((pair, matched(features[pair[0]], features[pair[1]])) for pair in candidates)
    return {pair: links for pair, links in found if len(links) >= FEWEST}


def focal_of(places: Sequence[np.ndarray], links: dict[tuple[int, int], np.ndarray]) -> float:
    """Focal length of all photos, in their longer side: that with which turning from a first to a second to a third
    photo and back comes nearest to no turn.

    A pair alone does not tell: cameras that look at one point leave its focal length open (Sturm, On focal length
    calibration from two views, CVPR 2001). places: V of (N, 2), features from the photos' middle, in the longer side.
    """
    triangles = _triangles(links)
    some = {pair: links[pair] for pair in {pair for triangle in triangles for pair in combinations(triangle, 2)}}
    if not triangles:
        return USUAL_FOCAL
    left = []
    for focal in FOCALS:
        found = turned([place / focal for place in places], some, focal)
        R = {(pair.one, pair.other): pair.rotation for pair in found}
        turns = [_turn(R, *triangle) for triangle in triangles]
        left.append(np.median(turns))
    return float(FOCALS[int(np.argmin(left))])


def _triangles(links: dict[tuple[int, int], np.ndarray]) -> list[tuple[int, int, int]]:
    """Of views whose weakest pair has most links."""
    beside: dict[int, set[int]] = {}
    for one, other in links:
        beside.setdefault(one, set()).add(other)
    found = [(a, b, c) for a, b in links for c in beside.get(b, set()) & beside[a]]
    return sorted(found, key=lambda views: -min(len(links[pair]) for pair in combinations(views, 2)))[:TRIANGLES]


def _turn(R: dict[tuple[int, int], np.ndarray], a: int, b: int, c: int) -> float:
    """Radians that are left of a turn through three views; pi where a pair says nothing."""
    if not {(a, b), (b, c), (a, c)} <= R.keys():
        return np.pi
    whole = R[a, c].T @ R[b, c] @ R[a, b]
    return float(np.arccos(np.clip((np.trace(whole) - 1) / 2, -1, 1)))


def turned(rays: Sequence[np.ndarray], links: dict[tuple[int, int], np.ndarray], focal: float) -> list[Pair]:
    """The pairs of which enough links agree on an essential matrix. rays: V of (N, 2), features on the plane z = 1;
    focal: in the longer side."""

    def seen(item: tuple[tuple[int, int], np.ndarray]) -> Pair | None:
        return _turned(*item, rays, LINE / focal)

    with ThreadPoolExecutor(available_cores()) as pool:
        return [pair for pair in pool.map(seen, links.items()) if pair is not None]


def _turned(views: tuple[int, int], links: np.ndarray, rays: Sequence[np.ndarray], line: float) -> Pair | None:
    cv2 = opencv()
    a, b = (np.ascontiguousarray(rays[view][links[:, side]]) for side, view in enumerate(views))
    E, good = cv2.findEssentialMat(a, b, np.eye(3), cv2.USAC_MAGSAC, CONFIDENCE, line)
    if E is None or E.shape != (3, 3):
        return None
    count, R, t, front = cv2.recoverPose(E, a, b, np.eye(3), mask=good.copy())
    if count < FEWEST:
        return None
    return Pair(*views, links[front[:, 0] > 0], R, -(R.T @ t)[:, 0])
