"""Structure from motion without COLMAP: the linear initialisation of IDR's appendix A.2, made robust, and bundle
adjustment (docs/decisions/0031-cameras-without-colmap.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ..capture.distortion import unbent
from ..capture.formats.source import FoundView, Lens, Pinhole
from .adjustment import Bundle, adjusted
from .averaging import agreeing, averaged_places, averaged_rotations, largest_part
from .features import find_features
from .model import Structure, row_of, rows_of
from .pairs import Pair, focal_of, linked, turned
from .plain import PlainPhoto
from .resection import resected
from .tracks import beside_each_other, joined_tracks, nearest_points

EXHAUSTIVE, BESIDE = 60, 12  # photos up to which all pairs are tried; above, the next ones in the order they were taken
ERRORS = (0.03, 0.01, 0.004, 0.002)  # of the longer side: what observations may be off in each round of adjustment
NARROWEST = 1.5  # degrees between the rays of a point
REJECTIONS = 2  # times that what is off is left out, and points are found anew
ADDED = 3  # times that photos without a place are tried again
FEWEST, FEWEST_POINTS = 2, 15  # photos that show a point; points that a photo shows

Links = Mapping[tuple[int, int], np.ndarray]
"""Of pairs of views, (M, 2) numbers of features that are alike."""


def builtin_structure(
    photos: Sequence[PlainPhoto], focal: float | None, say: Callable[[str], None]
) -> Structure | None:
    """Cameras of plain photos that one camera took, and points; of those photos that hang together. None where there
    are no such.

    focal: length in pixels where it is known; else that of the photos' metadata. Raises Unavailable, BadInput.
    """
    longest = float(max(photos[0].size))
    say("features")
    features = find_features([photo.file for photo in photos])
    middles = [(np.array(photo.size) - 1) / 2 for photo in photos]
    flat = [(part.places - middle) / longest for part, middle in zip(features, middles, strict=True)]
    say("matches")
    links = linked(features, _candidates(len(photos)))
    told = focal or photos[0].focal
    length = told / longest if told else focal_of(flat, links)
    say("rotations and places")
    begun = _begun(turned([part / length for part in flat], links, length), len(photos))
    if begun is None:
        return None
    say("bundle adjustment")
    views, pairs, R, centres = begun
    own = {(int(views[pair.one]), int(views[pair.other])): pair.links for pair in pairs}
    known, bundle = told is not None, Bundle(R, centres, np.zeros((0, 3)), length, 0.0)
    found = _adjusted(_Placed(views, bundle), flat, own, ERRORS, known=known)
    for _ in range(ADDED):
        if found is None:
            return None
        placed, seen = found
        more = _with_others(placed, seen, flat, links)
        found = _adjusted(more, flat, _meeting(more, flat, links), ERRORS[-2:], known=known)
        if len(more.views) == len(placed.views):
            break
    return None if found is None else _as_structure(photos, *found, longest)


def _begun(pairs: Sequence[Pair], count: int) -> tuple[np.ndarray, list[Pair], np.ndarray, np.ndarray] | None:
    """Views, the pairs that agree, of them numbered by place, rotations and centres; None where nothing agrees."""
    pairs, views = _joined(pairs, count)
    if len(views) < 3:
        return None
    R = averaged_rotations(pairs, len(views))
    pairs, kept = _joined(agreeing(pairs, R), len(views))
    views, R = views[kept], R[kept]
    if len(views) < 3:
        return None
    centres = averaged_places(pairs, R)
    return views, pairs, R, centres / np.median(np.linalg.norm(centres - np.median(centres, axis=0), axis=1))


def _candidates(count: int) -> list[tuple[int, int]]:
    """Pairs of photos to try."""
    return [pair for pair in combinations(range(count), 2) if count <= EXHAUSTIVE or pair[1] - pair[0] <= BESIDE]


def _joined(pairs: Sequence[Pair], count: int) -> tuple[list[Pair], np.ndarray]:
    """The pairs of the largest part, its views numbered anew; and these views' numbers before.

    A view of one pair is left out: it may lie anywhere on a line.
    """
    inside = [*pairs]
    while inside:
        times = np.bincount([view for pair in inside for view in (pair.one, pair.other)], minlength=count)
        lone = times == 1
        if not lone.any():
            break
        inside = [pair for pair in inside if not (lone[pair.one] or lone[pair.other])]
    if not inside:
        return [], np.zeros(0, int)
    views = largest_part(inside, count)
    number = {int(view): place for place, view in enumerate(views)}
    inside = [pair for pair in inside if pair.one in number]
    return [replace(pair, one=number[pair.one], other=number[pair.other]) for pair in inside], views


@dataclass(frozen=True)
class _Sightings:
    """Of M features that show a point: view, point, and number within the view's features (M,); flat (M, 2), from the
    photo's middle in its longer side."""

    view: np.ndarray
    point: np.ndarray
    flat: np.ndarray
    feature: np.ndarray

    @classmethod
    def of(cls, flat: Sequence[np.ndarray], views: np.ndarray, links: Links) -> _Sightings:
        """Of views (N,) of all, numbered by place; flat: of all views."""
        own = [flat[view] for view in views]
        offsets = np.cumsum([0, *(len(part) for part in own)])
        owner = np.repeat(np.arange(len(views)), np.diff(offsets))
        first = {int(view): int(offset) for view, offset in zip(views, offsets, strict=False)}
        inside = [part + np.array((first[a], first[b])) for (a, b), part in links.items() if a in first and b in first]
        track = joined_tracks(np.concatenate([np.zeros((0, 2), int), *inside]), owner, FEWEST)
        shown = np.flatnonzero(track >= 0)
        number = shown - offsets[owner[shown]]
        return cls(owner[shown], track[shown], np.concatenate(own)[shown], number)

    def __getitem__(self, chosen: np.ndarray) -> _Sightings:
        return _Sightings(self.view[chosen], self.point[chosen], self.flat[chosen], self.feature[chosen])


@dataclass(frozen=True)
class _Placed:
    """views (N,): numbers of those that have a place; bundle: their cameras in this order, and points."""

    views: np.ndarray
    bundle: Bundle


def _adjusted(
    placed: _Placed, flat: Sequence[np.ndarray], links: Links, errors: Sequence[float], *, known: bool
) -> tuple[_Placed, _Sightings] | None:
    """Points are found, and what does not fit is left out, again and again, ever more strictly; None where nothing is
    left. Views that show too few of them are left out."""
    views, bundle = placed.views, placed.bundle
    sightings = seen = _Sightings.of(flat, views, links)
    for error in errors:
        while True:  # views without enough points, and then the points that these had
            bundle, seen = _triangulated(bundle, sightings, error)
            few = np.bincount(seen.view, minlength=len(views)) < FEWEST_POINTS
            if not few.any():
                break
            if (~few).sum() < 3:
                return None
            sightings = sightings[~few[sightings.view]]
            sightings = replace(sightings, view=(np.cumsum(~few) - 1)[sightings.view])
            bundle, views = replace(bundle, R=bundle.R[~few], centres=bundle.centres[~few]), views[~few]
        bundle = adjusted(bundle, seen.view, seen.point, seen.flat, known=known)
    return _Placed(views, bundle), seen


def _with_others(placed: _Placed, seen: _Sightings, flat: Sequence[np.ndarray], links: Links) -> _Placed:
    """With views that show enough of the points."""
    bundle = placed.bundle
    rays = [_flattened(part, bundle) for part in flat]
    shows = {int(view): np.full(len(flat[view]), -1) for view in placed.views}
    for place, view in enumerate(placed.views):
        own = seen.view == place
        shows[int(view)][seen.feature[own]] = seen.point[own]
    R, centres, views = [bundle.R], [bundle.centres], [placed.views]
    for view in np.setdiff1d(np.arange(len(flat)), placed.views).tolist():
        pose = resected(view, rays, links, shows, bundle.points, bundle.focal)
        if pose is not None:
            R.append(pose[0][None])
            centres.append(pose[1][None])
            views.append(np.array([view]))
    return _Placed(np.concatenate(views), replace(bundle, R=np.concatenate(R), centres=np.concatenate(centres)))


def _meeting(placed: _Placed, flat: Sequence[np.ndarray], links: Links) -> Links:
    """Links of placed views whose rays pass each other, before both cameras."""
    bundle, place = placed.bundle, {int(view): k for k, view in enumerate(placed.views)}
    found = {}
    for (one, other), pairs in links.items():
        if one in place and other in place:
            ends = np.array([place[one], place[other]])
            sides = zip((one, other), pairs.T, ends, strict=True)
            a, b = (_rays(bundle, np.full(len(pairs), end), flat[view][side]) for view, side, end in sides)
            between = bundle.centres[ends[1]] - bundle.centres[ends[0]]
            found[one, other] = pairs[beside_each_other(a, b, between) * bundle.focal < ERRORS[-2]]
    return found


def _flattened(flat: np.ndarray, bundle: Bundle) -> np.ndarray:
    """On the plane z = 1, unbent, (M, 2)."""
    bent = flat / bundle.focal
    return np.stack(unbent(Lens((bundle.bending, 0.0)), bent[:, 0], bent[:, 1]), axis=1)


def _triangulated(bundle: Bundle, sightings: _Sightings, error: float) -> tuple[Bundle, _Sightings]:
    """With the points that sightings within `error` meet in, numbered anew, and these sightings."""
    seen = sightings
    for _ in range(REJECTIONS):
        seen = seen[_met(bundle, seen, error)[0]]
    good, points = _met(bundle, seen, error)
    used, number = np.unique(seen.point[good], return_inverse=True)
    return replace(bundle, points=points[used]), replace(seen[good], point=number)


def _met(bundle: Bundle, seen: _Sightings, error: float) -> tuple[np.ndarray, np.ndarray]:
    """Which sightings (M,) are within `error` of points that enough such show, from sides that differ; all points."""
    count = int(seen.point.max()) + 1 if len(seen.point) else 0
    rays = _rays(bundle, seen.view, seen.flat)
    points, depth, beside = nearest_points(bundle.centres[seen.view], rays, seen.point, count)
    good = (depth > 0) & (beside * bundle.focal < error * depth)
    shown = np.bincount(seen.point[good], minlength=count)
    total = np.stack([np.bincount(seen.point[good], rays[good][:, k], count) for k in range(3)], axis=1)
    wide = np.linalg.norm(total, axis=1) < np.cos(np.radians(NARROWEST / 2)) * shown
    return good & ((shown >= FEWEST) & wide)[seen.point], points


def _rays(bundle: Bundle, view: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Unit directions (M, 3), world, of features flat (M, 2) of views (M,), by place."""
    local = np.column_stack([_flattened(flat, bundle), np.ones(len(flat))])
    rays = np.einsum("mij,mi->mj", bundle.R[view], local)
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _as_structure(photos: Sequence[PlainPhoto], placed: _Placed, seen: _Sightings, longest: float) -> Structure:
    """In the photos' order."""
    bundle, order = placed.bundle, np.argsort(placed.views)
    views, lens, focal = [], Lens((bundle.bending, 0.0)), bundle.focal * longest
    for place in order:
        photo = photos[int(placed.views[place])]
        width, height = photo.size
        pinhole = Pinhole(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
        views.append(FoundView(photo.file, rows_of(bundle.R[place].T), row_of(bundle.centres[place]), pinhole, lens))
    falls, _ = bundle.seen(seen.view, seen.point)
    away, count = longest * np.linalg.norm(falls - seen.flat, axis=1), len(bundle.points)
    errors = np.bincount(seen.point, away, count) / np.maximum(np.bincount(seen.point, minlength=count), 1)
    middles = np.array([((w - 1) / 2, (h - 1) / 2) for w, h in (photo.size for photo in photos)])
    places = longest * seen.flat + middles[placed.views[seen.view]]
    return Structure(tuple(views), bundle.points, errors, np.argsort(order)[seen.view], seen.point, places)
