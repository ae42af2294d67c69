"""Masks that contradict the other photos: found by undoing them, named, and which of their pixels are wrong.

Two kinds of proof (docs/decisions/0022). A mask that misses a part carves it out of the hull, and leaves object pixels
of other views without anything on their rays: where such rays of several views meet in a place that but for a few views
all show, those few are wrong. A hole that no silhouette refutes is wrong where the photo has the object's colours in it
and not the background's. What a mask shows in excess lies beside everything that the others agree on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy import ndimage
from skimage.measure import label

from ..cameras.pinhole import every_nth_pixel, projections
from ..ops.visual_hull import MIN_VIEWS, hull_votes
from ..types import Cameras
from .hulls import COARSE, Silhouettes, enlarged, stride_for
from .likeness import object_likeness
from .masks import FEWEST

DISSENT = 0.15
"""Share of the views that see a point which may be wrong about it; one may always be."""
MOST = 0.25
"""Share of the views that may be blamed: where more seem wrong, it is not the masks, and nobody is."""
BLAMED, GROSS = 0.03, 0.5
"""Share of the object that a mask misses or shows in excess to be blamed; the second where views contradict each other
all the same, as with rough poses."""
UNEXPLAINED = 0.02
"""Median share of object pixels beside the strict hull up to which views agree; rough poses (1.5 degrees) have 0.10 to
0.38, exact ones 0.000."""
UNLIKE = 0.25
"""Share of the object's own pixels that look less like it than a pixel must that a mask is said to have left out:
background of its own colour, a shadow at the object's foot, looks like neither."""
ROUNDS = 4
EDGE = 2  # such pixels along an outline, which the lattice does not resolve


@dataclass(frozen=True)
class Fault:
    """A mask that is wrong. misses, shows: share of the object that it lacks, and that it shows in excess.

    pixels (H, W) bool: where it is wrong, of the mask as it was given. inverted: all of it, black for white.
    """

    view: int
    misses: float
    shows: float
    inverted: bool
    pixels: np.ndarray

    @property
    def sentence(self) -> str:
        """`misses 31 % of the object`, after a view's name."""
        if self.inverted:
            return "is inverted"
        said = [f"misses {100 * self.misses:.0f} % of the object"] if self.misses >= BLAMED else []
        if self.shows >= BLAMED or not said:
            said.append(f"shows {100 * self.shows:.0f} % that no other view does")
        return " and ".join(said)


def outvoted(views: Silhouettes, cameras: Cameras) -> list[Fault]:
    """The masks that the others contradict, none where it may be the cameras that are wrong.

    cameras: in a frame whose box [-1, 1]^3 holds the object.
    """
    if len(views) < FEWEST:
        return []
    every = stride_for(cameras, COARSE)
    small, seen_by = views.thinned(every), every_nth_pixel(cameras, every)
    blamed, rest = _blamed(small, seen_by)
    return [_fault(found, small, seen_by, rest, every, views.masks[found.view].shape) for found in blamed]


def in_words(faults: Sequence[Fault], names: Sequence[str]) -> list[str]:
    """One warning that names the views, none without faults."""
    if not faults:
        return []
    said = [f"{names[fault.view]} {fault.sentence}" for fault in faults]
    what = "1 mask is" if len(said) == 1 else f"{len(said)} masks are"
    return [f"{what} outvoted by the other photos and not used where wrong: {', '.join(said)}"]


def may_be_exchanged(faults: Sequence[Fault]) -> bool:
    """Whether masks that are wrong may be right for other views: some show too much, some too little."""
    rest = [fault for fault in faults if not fault.inverted]
    lacks, exceeds = any(fault.misses >= BLAMED for fault in rest), any(fault.shows >= BLAMED for fault in rest)
    return len(rest) > 1 and lacks and exceeds


def mended(views: Silhouettes, faults: Sequence[Fault]) -> Silhouettes:
    """Inverted masks the right way round; of others what is wrong is ignored."""
    masks, wrong = [*views.masks], [np.zeros(mask.shape, dtype=bool) for mask in views.masks]
    for fault in faults:
        if fault.inverted:
            masks[fault.view] = ~masks[fault.view]
        else:
            wrong[fault.view] = fault.pixels
    return replace(views, masks=masks).without(wrong if faults else [])


@dataclass(frozen=True)
class _Evidence:
    """Against one view: pixels (H, W) bool of its small mask that miss the object, and that show it in excess; as
    shares of the object."""

    view: int
    missing: np.ndarray
    excess: np.ndarray
    misses: float
    shows: float

    @property
    def worst(self) -> float:
        return max(self.misses, self.shows)


def _blamed(views: Silhouettes, cameras: Cameras) -> tuple[list[_Evidence], _Agreement]:
    """Against those views that are wrong, and what the others agree on.

    The worst first, and then what is left of the others': a wrong mask drags others with it.
    """
    sound, found = np.arange(len(views)), list[_Evidence]()
    rest = _Agreement.of(views, cameras)
    for _ in range(ROUNDS):
        evidence = [rest.against(place, int(view)) for place, view in enumerate(sound)]
        worst = max(one.worst for one in evidence)
        now = [one for one in evidence if one.worst >= max(BLAMED, worst / 2)]
        if not now:
            break
        found += now
        if len(found) > MOST * len(views):
            break
        sound = np.setdiff1d(sound, [one.view for one in now])
        rest = _Agreement.of(views.chosen(sound), cameras[sound.tolist()])
    if not found or (len(found) <= MOST * len(views) and np.median(rest.unexplained_shares()) <= UNEXPLAINED):
        return found, rest
    gross = [one for one in found if one.worst >= GROSS]
    sound = np.setdiff1d(np.arange(len(views)), [one.view for one in gross])
    many = len(gross) > MOST * len(views)
    return [] if many else gross, rest if many else _Agreement.of(views.chosen(sound), cameras[sound.tolist()])


@dataclass(frozen=True)
class _Agreement:
    """What V views agree on. inside, outside (M, M, M): votes. expected: V of (H, W) bool, pixels that meet what all
    but a few views show. unexplained: object pixels of whose rays some view denies every point."""

    views: Silhouettes
    cameras: Cameras
    inside: torch.Tensor
    outside: torch.Tensor
    expected: list[np.ndarray]
    unexplained: list[np.ndarray]

    @classmethod
    def of(cls, views: Silhouettes, cameras: Cameras) -> _Agreement:
        inside, outside = (votes.cpu() for votes in hull_votes(views.masks, cameras, COARSE, ignored=views.ignored))
        certain = (outside == 0) & (inside >= min(MIN_VIEWS, len(views)))
        shapes = [mask.shape for mask in views.masks]
        seen = _silhouettes(certain, cameras, shapes, EDGE)
        unexplained = [mask & ~part & ~mask.all() for mask, part in zip(views.masks, seen, strict=True)]
        votes = inside, outside
        expected = _silhouettes(_likely(*votes, MIN_VIEWS), cameras, shapes)
        return cls(views, cameras, *votes, expected, unexplained)

    def unexplained_shares(self) -> list[float]:
        return [part.sum() / max(mask.sum(), 1) for part, mask in zip(self.unexplained, self.views.masks, strict=True)]

    def against(self, place: int, view: int) -> _Evidence:
        """The evidence against the view at that place, of that number in the capture."""
        missing, excess = self.proven_missing[place] | self._looks_missing(place), self.excess[place]
        area = max(self.expected[place].sum(), 1)
        return _Evidence(view, missing, excess, float(missing.sum() / area), float(excess.sum() / area))

    @cached_property
    def proven_missing(self) -> list[np.ndarray]:
        """Background pixels (H, W) of each view before what several others need to explain their object pixels."""
        nothing = [np.zeros(mask.shape, dtype=bool) for mask in self.views.masks]
        if not any(part.any() for part in self.unexplained):
            return nothing
        needing = hull_votes(self.unexplained, self.cameras, COARSE)[0].cpu()
        enough = torch.clamp(2 * self.outside + 1, min=MIN_VIEWS)
        needed = _likely(self.inside, self.outside, MIN_VIEWS) & (needing >= enough)
        shown = _silhouettes(needed, self.cameras, [mask.shape for mask in self.views.masks])
        return [part & self._background(view) for view, part in enumerate(shown)]

    @cached_property
    def excess(self) -> list[np.ndarray]:
        """Object pixels of each view on whose rays every point is denied by more than a few."""
        possible = _likely(self.inside, self.outside, 1)
        shown = _silhouettes(possible, self.cameras, [mask.shape for mask in self.views.masks], EDGE)
        return [_opened(part & ~seen) for part, seen in zip(self.unexplained, shown, strict=True)]

    def _looks_missing(self, view: int) -> np.ndarray:
        """Pixels in holes of one view's mask before what the others show, where the photo has the object's colours.

        In holes alone: what an outline lacks silhouettes prove, and beside it are shadows, of colours of their own.
        """
        filled = np.asarray(ndimage.binary_fill_holes(_grown(self.views.masks[view], EDGE)), dtype=bool)
        candidates = filled & self.expected[view] & self._background(view)
        if not candidates.any() or not self.views.photos:
            return np.zeros_like(candidates)
        mask = self.views.masks[view]
        inner = np.asarray(ndimage.binary_erosion(mask & self.expected[view]), dtype=bool)
        outer = self._background(view) & ~_grown(self.expected[view], EDGE)
        likeness = object_likeness(self.views.photos[view], inner, outer)
        if likeness is None:
            return np.zeros_like(candidates)
        usual = max(float(np.quantile(likeness[inner], UNLIKE)), 0.0)
        return _opened(candidates & (likeness > usual))

    def _background(self, view: int) -> np.ndarray:
        """Pixels some way from the object."""
        unused = self.views.ignored[view] if self.views.ignored else None
        away = ~_grown(self.views.masks[view], EDGE)
        return away if unused is None else away & ~unused


def _likely(inside: torch.Tensor, outside: torch.Tensor, least: int) -> torch.Tensor:
    """Where so many views show the object, and of those that see it only a few do not."""
    few = torch.clamp((DISSENT * (inside + outside)).floor(), min=1)
    return (outside <= few) & (inside >= least)


def _fault(
    found: _Evidence, views: Silhouettes, cameras: Cameras, others: _Agreement, every: int, shape: tuple[int, ...]
) -> Fault:
    """What is wrong with a view that is blamed: all of the areas in which there is evidence, by what the others say."""
    mask, camera = views.masks[found.view], cameras[[found.view]]
    (agreed,) = _silhouettes(_likely(others.inside, others.outside, MIN_VIEWS), camera, [mask.shape])
    missing = _areas(agreed & ~mask, found.missing, reach=EDGE) & ~mask
    excess = _areas(mask & ~agreed, found.excess, reach=0)
    inverted = bool(_overlap(~mask, agreed) > 0.5 > 2 * _overlap(mask, agreed))
    pixels = enlarged(missing | excess, every, shape)
    return Fault(found.view, found.misses, found.shows, inverted, pixels)


def _areas(where: np.ndarray, evidence: np.ndarray, reach: int) -> np.ndarray:
    """Those connected parts, without seams along outlines, that hold evidence; grown by some pixels."""
    if not evidence.any():
        return np.zeros_like(where)
    parts = np.asarray(label(_opened(where) | evidence, connectivity=1))
    chosen = np.isin(parts, np.unique(parts[evidence]))
    return _grown(chosen, reach)


def _grown(pixels: np.ndarray, steps: int) -> np.ndarray:
    return np.asarray(ndimage.binary_dilation(pixels, iterations=steps), dtype=bool) if steps else pixels


def _opened(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.binary_opening(pixels), dtype=bool)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max((one | other).sum(), 1))


def _silhouettes(
    occupied: torch.Tensor, cameras: Cameras, shapes: Sequence[tuple[int, ...]], more: int = 0
) -> list[np.ndarray]:
    """Pixels (H, W) bool of each view that see an occupied cell, and so many around them more."""
    index = occupied.nonzero().to(torch.float64)
    points = torch.nn.functional.pad(index * (2 / (len(occupied) - 1)) - 1, (0, 1), value=1.0)
    images = (points @ projections(cameras.to(torch.float64)).transpose(1, 2)).numpy()  # (V, N, 3)
    found = []
    for image, (rows, columns) in zip(images, shapes, strict=True):
        image = image[image[:, 2] > 0]
        places = np.floor(image[:, :2] / image[:, 2:] + 0.5)
        column, row = places[((places >= 0) & (places < (columns, rows))).all(axis=1)].astype(int).T
        shown = np.zeros((rows, columns), dtype=bool)
        shown[row, column] = True
        closed = np.asarray(ndimage.binary_closing(shown, np.ones((3, 3))), dtype=bool)  # cells far apart in near views
        found.append(_grown(closed, more))
    return found
