"""Whether a fit is any good, and which views are far from the others, with what is likely wrong with each.

A view is compared with the other views of its own fit: a wrong one cannot be explained together with them. What is said
about it is what was measured on its thumbnails; where nothing explains it, that it is poor. Thresholds: decisions/0020.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from . import small_views
from .images import mask_iou
from .small_views import SmallView

FEWEST = 5  # views: of fewer, none can be told from the others
GOOD_IOU = 0.9
EVEN_PSNR = 3.0  # dB, standard deviation
OUTLIER = 5.0  # standard deviations, robust
IOU_SLACK = 0.04
PSNR_SLACK = 5.0  # dB
BLUR_SLACK = math.log(2.5)
DRAGGED = 0.2  # of the distance of the farthest view, which drags others with it
MENDS = 2 / 3  # of the distance from the median, to be the cause
MOSTLY = 4.0  # times more of the one than of the other
ONE_COLOUR = 0.15  # stops between channels
KNOWN_COLOURS = 17.0  # dB; a fit that has not come so far says nothing about brightness
STOPS_SLACK = 0.35  # EV, of the rendering
STOPS_SEEN = 0.8  # EV, of what every neighbour sees
NAMED = 5  # views on a line
BACK = "mend or remove them, then fit again with --fresh"


class Cause(Enum):
    """What is likely wrong with a view; the sentence ends with `in view 007`."""

    INVERTED = "the mask is inverted"
    EXCHANGED = "the photo is that of another view"
    SHIFTED = "the camera is off"
    LACKS = "the mask lacks a part of the object"
    HIDDEN = "the object is hidden in part"
    BEYOND = "the mask reaches beyond the object"
    ELSEWHERE = "the silhouette is not what the other views expect, so that camera or mask is wrong"
    EXPOSURE = "the exposure differs from that of the other photos"
    BALANCE = "the white balance differs from that of the other photos"
    BLURRED = "the photo is blurred"
    COLOURS = "the colours are not what the other views expect"


@dataclass(frozen=True)
class ViewScore:
    """How well one view came out: mask IoU, PSNR in dB over hit object pixels; NaN where it is not known."""

    mask_iou: float
    psnr_db: float


@dataclass(frozen=True)
class ViewVerdict:
    """One view: its numbers and, where it is far from the others, the likely cause and what was measured of it."""

    name: str
    score: ViewScore
    cause: Cause | None = None
    detail: str = ""

    @property
    def sentence(self) -> str:
        """Empty where nothing is wrong."""
        return "" if self.cause is None else f"{self.cause.value}{self._bracket}"

    @property
    def named(self) -> str:
        """`007 (31 % of it)`."""
        return f"{self.name}{self._bracket}"

    @property
    def _bracket(self) -> str:
        return f" ({self.detail})" if self.detail else ""


@dataclass(frozen=True)
class Judgement:
    """faults: what is wrong with the fit as a whole, in sentences. views: those that were judged, of `total`."""

    faults: tuple[str, ...]
    views: tuple[ViewVerdict, ...]
    total: int

    @property
    def flagged(self) -> list[ViewVerdict]:
        return [view for view in self.views if view.cause]

    @property
    def line(self) -> str:
        """`good: mask IoU 0.987 (least 0.973, view 014), PSNR 19.8 dB (least 19.1, view 020)`."""
        word = "poor" if self.faults else "good but for some views" if self.flagged else "good"
        numbers = [
            _range(self.views, *kind) for kind in (("mask_iou", "mask IoU", "", 3), ("psnr_db", "PSNR", " dB", 1))
        ]
        parts = [part for part in numbers if part]
        if len(self.views) < self.total:
            parts.append(f"from {len(self.views)} of {self.total} views")
        return f"{word}: {', '.join(parts)}" if parts else word

    @property
    def warnings(self) -> list[str]:
        """The faults, and a sentence for each cause with the views it is that of."""
        causes = [cause for cause in Cause if any(view.cause is cause for view in self.flagged)]
        found = [_together(cause, [view for view in self.flagged if view.cause is cause]) for cause in causes]
        if found:
            found[-1] += f"; {BACK}"
        return [*self.faults, *found]


def judge(
    names: Sequence[str],
    views: Sequence[SmallView],
    scores: Sequence[ViewScore] | None = None,
    *,
    total: int | None = None,
    silhouettes: bool = True,
) -> Judgement:
    """Judge a fit by V views: their names, thumbnails, and scores where they were measured on larger pictures.

    total: views of the capture, where these are not all. silhouettes: whether the fit was to have those of the masks;
    they are not judged either where no view has any background, as in a capture without masks.
    """
    known = [small_score(view) for view in views] if scores is None else scores
    if not silhouettes or not any((view.used & ~view.mask).any() for view in views):
        known = [replace(score, mask_iou=math.nan) for score in known]
    fit = _Fit.of(names, views, known)
    verdicts = tuple(
        ViewVerdict(name, score, *_verdict(fit, index))
        for index, (name, score) in enumerate(zip(names, known, strict=True))
    )
    return Judgement(tuple(_faults(verdicts)), verdicts, total or len(views))


def small_score(view: SmallView) -> ViewScore:
    """The score of a thumbnail."""
    return ViewScore(mask_iou(view.mask, view.hit), small_views.colour_psnr(view))


@dataclass(frozen=True)
class _Usual:
    """Median of a number over the views, and how far below it a view is far from the others.

    A wrong view drags others with it: those that lose little beside the one that loses most are not called far.
    """

    median: float
    slack: float

    @classmethod
    def of(cls, values: Iterable[float], least_slack: float) -> _Usual:
        """By the median absolute deviation, which a few wrong views do not move. Of too few values none is far."""
        known = np.array([value for value in values if math.isfinite(value)])
        if len(known) < FEWEST:
            return cls(math.nan, math.inf)
        median = float(np.median(known))
        spread = 1.4826 * float(np.median(np.abs(known - median)))  # the standard deviation, if they were normal
        return cls(median, max(least_slack, OUTLIER * spread, DRAGGED * (median - float(known.min()))))

    def far(self, value: float) -> bool:
        return value < self.median - self.slack

    def mended(self, value: float, by: float) -> bool:
        """Whether `value` is well below the median, and `by` in its place most of the way back."""
        distance = self.median - value
        return distance > self.slack / 2 and by - value >= MENDS * distance


@dataclass(frozen=True)
class _Fit:
    """V views of a fit, and what is usual for them: scores, and of the thumbnails colours (dB), brightness over that of
    the rendering (EV) and the logarithm of sharpness."""

    names: Sequence[str]
    views: Sequence[SmallView]
    scores: Sequence[ViewScore]
    iou: _Usual
    psnr: _Usual
    colours: _Usual
    stops: _Usual
    sharpness: _Usual

    @classmethod
    def of(cls, names: Sequence[str], views: Sequence[SmallView], scores: Sequence[ViewScore]) -> _Fit:
        iou = _Usual.of((score.mask_iou for score in scores), IOU_SLACK)
        psnr = _Usual.of((score.psnr_db for score in scores), PSNR_SLACK)
        colours = _Usual.of(map(small_views.colour_psnr, views), PSNR_SLACK)
        stops = _Usual.of(map(small_views.stops, views), STOPS_SLACK)
        return cls(names, views, scores, iou, psnr, colours, stops, _Usual.of(map(_log_sharpness, views), BLUR_SLACK))


def _verdict(fit: _Fit, index: int) -> tuple[Cause | None, str]:
    """The likely cause why a view is far from the others, and what was measured; None where it is not."""
    if fit.iou.far(fit.scores[index].mask_iou):
        return _wrong_silhouette(fit, index)
    if fit.psnr.far(fit.scores[index].psnr_db):
        return _wrong_colours(fit, index)
    view = fit.views[index]
    return _blur(fit, view) or _brightness(fit, view) or (None, "")


def _wrong_silhouette(fit: _Fit, index: int) -> tuple[Cause, str]:
    view = fit.views[index]
    iou = mask_iou(view.mask, view.hit)
    if fit.iou.mended(iou, small_views.inverted_overlap(view)):
        return Cause.INVERTED, ""
    other = _view_shown(fit, index, silhouette=True)
    if other:
        return Cause.EXCHANGED, f"it fits view {other}"
    distance, shifted = small_views.best_shift(view)
    if fit.iou.mended(iou, shifted):
        return Cause.SHIFTED, f"the silhouette is {distance:.0f} pixels away"
    shifted = _colours_moved(fit, view)
    if shifted:
        return shifted
    missed, extra = np.count_nonzero(view.missed), np.count_nonzero(view.extra)
    if extra > MOSTLY * missed:
        visible = not fit.colours.far(small_views.colour_psnr(view, where=view.extra))
        return Cause.LACKS if visible else Cause.HIDDEN, f"{100 * extra / np.count_nonzero(view.hit):.0f} % of it"
    if missed > MOSTLY * extra:
        return Cause.BEYOND, f"{100 * missed / np.count_nonzero(view.mask):.0f} % of the mask"
    return Cause.ELSEWHERE, f"mask IoU {fit.scores[index].mask_iou:.2f}"


def _wrong_colours(fit: _Fit, index: int) -> tuple[Cause, str]:
    view = fit.views[index]
    gain = small_views.gain(view)
    if fit.colours.mended(small_views.colour_psnr(view), small_views.colour_psnr(view, gain)):
        return _exposure(fit, view, gain)
    other = _view_shown(fit, index, silhouette=False)
    if other:
        return Cause.EXCHANGED, f"it fits view {other}"
    poor = Cause.COLOURS, f"PSNR {fit.scores[index].psnr_db:.1f} dB"
    return _colours_moved(fit, view) or _blur(fit, view) or poor


def _colours_moved(fit: _Fit, view: SmallView) -> tuple[Cause, str] | None:
    own = small_views.colour_psnr(view)
    if not fit.colours.far(own):
        return None
    distance, psnr = small_views.best_colour_shift(view)
    return (Cause.SHIFTED, f"the picture is {distance:.0f} pixels away") if fit.colours.mended(own, psnr) else None


def _view_shown(fit: _Fit, index: int, *, silhouette: bool) -> str:
    """The name of the view whose rendering fits this photo nearly as well as photos fit their own; empty without one.

    silhouette: the mask has to fit as well.
    """
    view = fit.views[index]
    own = small_views.colour_psnr(view)
    best, name = -math.inf if math.isnan(own) else own, ""
    for other, candidate in enumerate(fit.views):
        iou, psnr = small_views.likeness(view, candidate)
        fits = fit.colours.mended(0.0 if math.isnan(own) else own, psnr) and not (silhouette and fit.iou.far(iou))
        if other != index and fits and psnr > best:
            best, name = psnr, fit.names[other]
    return name


def _exposure(fit: _Fit, view: SmallView, gain: np.ndarray) -> tuple[Cause, str]:
    """Stops of linear light where the channels (3,) agree, else their factors."""
    if np.ptp(np.log2(np.maximum(gain, small_views.TINY))) < ONE_COLOUR:
        return _brightness(fit, view) or (Cause.EXPOSURE, f"{small_views.stops(view):+.1f} EV")
    return Cause.BALANCE, ", ".join(f"{name} × {g:.2f}" for name, g in zip(("red", "green", "blue"), gain, strict=True))


def _brightness(fit: _Fit, view: SmallView) -> tuple[Cause, str] | None:
    """A photo that is brighter or darker than it is rendered, or than each of its neighbours sees the surface."""
    own, seen = small_views.stops(view) - fit.stops.median, view.stops_seen
    everywhere = len(seen) == small_views.NEIGHBOURS and (min(seen) > STOPS_SEEN or max(seen) < -STOPS_SEEN)
    known = fit.colours.median >= KNOWN_COLOURS  # not where the median is NaN
    if not known or (abs(own) <= fit.stops.slack and not everywhere):
        return None
    found = max(own, float(np.mean(seen or own)), key=abs)  # what the fit has explained by the direction is not in own
    return Cause.EXPOSURE, f"{found:+.1f} EV"


def _blur(fit: _Fit, view: SmallView) -> tuple[Cause, str] | None:
    value = _log_sharpness(view)
    if not fit.sharpness.far(value):
        return None
    return Cause.BLURRED, f"{math.exp(value - fit.sharpness.median):.2f} of the usual fine detail"


def _log_sharpness(view: SmallView) -> float:
    return math.log(view.sharpness) if view.sharpness > 0 else math.nan


def _faults(verdicts: Sequence[ViewVerdict]) -> Iterator[str]:
    """What is wrong with the fit as a whole."""
    ious = _known(verdict.score.mask_iou for verdict in verdicts)
    if len(ious) and ious.mean() < GOOD_IOU:
        why = "masks or cameras contradict each other, or the fit was too short; do not trust the shape"
        yield f"mask IoU {ious.mean():.2f}, below {GOOD_IOU}: {why}"
    psnrs = _known(verdict.score.psnr_db for verdict in verdicts if not verdict.cause)
    if len(psnrs) and psnrs.std() > EVEN_PSNR:
        why = "light or exposure changed, or cameras are inexact"
        yield f"PSNR differs from view to view, from {psnrs.min():.1f} to {psnrs.max():.1f} dB: {why}"


def _known(values: Iterable[float]) -> np.ndarray:
    return np.array([value for value in values if math.isfinite(value)])


def _range(verdicts: Sequence[ViewVerdict], key: str, name: str, unit: str, digits: int) -> str:
    """`mask IoU 0.987 (least 0.973, view 014)`; empty where it is not known."""
    known = [(value, verdict.name) for verdict in verdicts if math.isfinite(value := getattr(verdict.score, key))]
    if not known:
        return ""
    least, where = min(known)
    mean = float(np.mean([value for value, _ in known]))
    return f"{name} {mean:.{digits}f}{unit} (least {least:.{digits}f}, view {where})"


def _together(cause: Cause, views: Sequence[ViewVerdict]) -> str:
    """`the mask is inverted in view 007`, `the photo is blurred in views 003 (0.10 of …), 009 (…) and 7 others`."""
    named = ", ".join(view.named for view in views[:NAMED])
    more = f" and {len(views) - NAMED} others" if len(views) > NAMED else ""
    return f"{cause.value} in view{'s' if len(views) > 1 else ''} {named}{more}"
