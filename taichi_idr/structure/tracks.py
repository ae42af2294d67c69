"""Points of an object from cameras that are known: places that are alike and lie on each other's lines of sight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..capture.distortion import unbent
from ..capture.formats.source import FoundView
from .features import Features, find_features, matched
from .model import Structure

NEIGHBOURS = 10  # other photos that each is compared with: those that look from the most similar sides
WORST = 3e-3  # of a photo's longer side: distance from the line that the other photo's place lies on
NARROWEST = 2.0  # degrees between the rays that a point is found by
FEWEST = 2  # photos that show a point


def known_structure(views: Sequence[FoundView]) -> Structure:
    """Points that photos of known cameras share. Raises Unavailable without OpenCV; BadInput, naming a file."""
    features = find_features([view.image for view in views])
    offsets = np.cumsum([0, *(len(part) for part in features)])
    owner = np.repeat(np.arange(len(views)), np.diff(offsets))
    rays = [_rays(view, part.places) for view, part in zip(views, features, strict=True)]
    links = [np.zeros((0, 2), int)]
    for one, other in _neighbours(views):
        pairs = matched(features[one], features[other])
        good = _meet(views, (one, other), rays, pairs)
        links.append(pairs[good] + offsets[[one, other]])
    track = joined_tracks(np.concatenate(links), owner, FEWEST)
    return _triangulated(views, features, np.concatenate(rays), owner, track)


def _neighbours(views: Sequence[FoundView]) -> Iterator[tuple[int, int]]:
    """Pairs of views that look from similar sides."""
    directions = np.array([view.rotation for view in views])[:, :, 2]
    alike = directions @ directions.T
    np.fill_diagonal(alike, -np.inf)
    nearest = np.argsort(-alike, axis=1)[:, :NEIGHBOURS]
    pairs = {tuple(sorted((one, int(other)))) for one, others in enumerate(nearest) for other in others}
    for one, other in sorted(pairs):
        if one != other:
            yield one, other


def _rays(view: FoundView, places: np.ndarray) -> np.ndarray:
    """Unit directions (N, 3) in the world of places (N, 2) of a photo."""
    p = view.pinhole
    y = (places[:, 1] - p.cy) / p.fy
    x = (places[:, 0] - p.cx - p.skew * y) / p.fx
    x, y = unbent(view.lens, x, y)
    rays = np.column_stack([x, y, np.ones(len(x))]) @ np.array(view.rotation).T
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _meet(
    views: Sequence[FoundView], pair: tuple[int, int], rays: Sequence[np.ndarray], links: np.ndarray
) -> np.ndarray:
    """Which links (M, 2) of a pair of views have rays that pass each other within WORST, before both cameras; (M,)."""
    one, other = pair
    between = np.array(views[other].centre) - np.array(views[one].centre)
    longest = max(views[one].pinhole.width, views[one].pinhole.height)
    beside = beside_each_other(rays[one][links[:, 0]], rays[other][links[:, 1]], between)
    return beside * views[one].pinhole.fx < WORST * longest


def beside_each_other(one: np.ndarray, other: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Distance (M,) at which rays pass each other, in that from the nearer camera; infinite where they meet behind one
    or are nearly parallel. one, other (M, 3): unit; between (3,): from the first centre to the second."""
    across = np.cross(one, other)
    sine, cosine = np.linalg.norm(across, axis=1), (one * other).sum(axis=1)
    square = np.maximum(sine**2, 1e-12)
    along, along_other = one @ between, other @ between
    depth = np.minimum(along - cosine * along_other, cosine * along - along_other) / square
    good = (sine > np.sin(np.radians(NARROWEST))) & (depth > 0)
    gap = np.abs(across @ between) / np.sqrt(square)
    return np.where(good, gap / np.maximum(depth, 1e-12), np.inf)


def joined_tracks(links: np.ndarray, owner: np.ndarray, fewest: int) -> np.ndarray:
    """Number of the point that each of N features shows, (N,); -1 for one that shows none, or a point that fewer than
    `fewest` photos show, or one of them twice. links (M, 2): features that are alike; owner (N,): their photos."""
    count = len(owner)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(count, count))
    part = connected_components(graph, directed=False)[1]
    pairs, times = np.unique(np.column_stack([part, owner]), axis=0, return_counts=True)
    views = np.bincount(pairs[:, 0], minlength=part.max() + 1 if count else 0)
    twice = np.zeros(len(views), bool)
    twice[pairs[times > 1, 0]] = True
    good = (views >= fewest) & ~twice
    return np.where(good[part], (np.cumsum(good) - 1)[part], -1)


def nearest_points(
    origins: np.ndarray, rays: np.ndarray, point: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points (count, 3) with the least squared distances to their rays; along each ray how far its point is, and
    how far beside it, (M,). origins, rays (M, 3), unit; point (M,): whose ray each is."""
    across = np.eye(3) - rays[:, :, None] * rays[:, None]
    system, target = np.zeros((count, 3, 3)), np.zeros((count, 3))
    np.add.at(system, point, across)
    np.add.at(target, point, np.einsum("nij,nj->ni", across, origins))
    system += 1e-12 * np.eye(3)  # of no rays, or parallel ones
    points = np.linalg.solve(system, target[..., None])[..., 0]
    towards = points[point] - origins
    depth = (towards * rays).sum(axis=1)
    return points, depth, np.linalg.norm(towards - depth[:, None] * rays, axis=1)


def _triangulated(
    views: Sequence[FoundView],
    features: Sequence[Features],
    rays: np.ndarray,
    owner: np.ndarray,
    track: np.ndarray,
) -> Structure:
    """Points nearest to their rays; those that lie behind a camera or too far from a ray are left out."""
    used = np.flatnonzero(track >= 0)
    count = int(track.max()) + 1 if len(used) else 0
    centres = np.array([view.centre for view in views])[owner[used]]
    direction, point = rays[used], track[used]
    places, depth, beside = nearest_points(centres, direction, point, count)
    focal = np.array([view.pinhole.fx for view in views])[owner[used]]
    longest = np.array([max(view.pinhole.width, view.pinhole.height) for view in views])[owner[used]]
    error = np.where(depth > 0, beside / np.maximum(depth, 1e-12), np.inf) * focal
    worst = np.zeros(count)
    np.maximum.at(worst, point, error / longest)
    kept = worst < WORST
    finite = np.where(np.isfinite(error), error, 0)
    mean = np.bincount(point, finite, count) / np.maximum(np.bincount(point, minlength=count), 1)
    number, shown = np.cumsum(kept) - 1, kept[point]
    seen_at = np.concatenate([part.places for part in features])[used][shown]
    return Structure(tuple(views), places[kept], mean[kept], owner[used][shown], number[point[shown]], seen_at)
