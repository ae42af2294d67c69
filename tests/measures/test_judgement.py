"""What is said about views that are damaged one at a time, and that nothing is said about those that are not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from taichi_idr.measures.judgement import NAMED, Cause, Judgement, ViewScore, judge
from taichi_idr.measures.small_views import (
    SmallView,
    best_colour_shift,
    best_shift,
    gain,
    neighbours,
    sharpness,
    stops,
    thumbnail_side,
)
from taichi_idr.types import Cameras

VIEWS, BAD, OTHER = 8, 3, 5
HEIGHT, WIDTH, FACTOR = 60, 80, 4
NAMES = [f"{index:03d}" for index in range(VIEWS)]


def noise(seed: int, sigma: float) -> np.ndarray:
    """Colours (H, W, 3) in [0, 1] of patches about sigma pixels wide."""
    random = np.random.default_rng(seed)
    smooth = gaussian_filter(random.normal(size=(HEIGHT, WIDTH, 3)), (sigma, sigma, 0))
    return np.clip(0.4 + 0.12 * smooth / smooth.std(), 0.1, 0.75)


def blob(seed: int) -> np.ndarray:
    """A silhouette (H, W) that is another for every seed."""
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    turn = 0.4 * seed
    x, y = column - WIDTH / 2, row - HEIGHT / 2
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return (along / 24) ** 2 + (across / 13) ** 2 < 1


def good_view(seed: int) -> SmallView:
    """Photo and rendering alike but for noise, silhouettes but for a column."""
    colour, mask, random = noise(seed, 3), blob(seed), np.random.default_rng(seed)
    photo = np.clip(colour + 0.02 * random.normal(size=colour.shape), 0, 1)
    hit = mask | np.roll(mask, 1, axis=1)
    rendered = np.where(hit[..., None], colour, 1)
    parts = {"mask": mask, "hit": hit, "used": np.ones_like(mask), "inner": mask}
    return SmallView(_bytes(photo), _bytes(rendered), **parts, factor=FACTOR, sharpness=0.06 + 0.002 * seed)


@pytest.fixture
def good() -> list[SmallView]:
    return [good_view(seed) for seed in range(VIEWS)]


def moved(view: SmallView, right: int, down: int) -> SmallView:
    """The rendering elsewhere than the photo."""
    shift = {"shift": (down, right), "axis": (0, 1)}
    return replace(view, rendered=np.roll(view.rendered, **shift), hit=np.roll(view.hit, **shift))


def with_mask(view: SmallView, mask: np.ndarray) -> SmallView:
    return replace(view, mask=mask, inner=mask)


def without_top(view: SmallView) -> SmallView:
    rows = np.flatnonzero(view.mask.any(axis=1))
    return with_mask(view, view.mask & (np.arange(HEIGHT) > rows[len(rows) * 3 // 10])[:, None])


def with_stand(view: SmallView) -> SmallView:
    mask = view.mask.copy()
    mask[HEIGHT * 3 // 4 :, WIDTH // 4 : 3 * WIDTH // 4] = True
    return with_mask(view, mask)


def brighter(view: SmallView, factors: tuple[float, float, float]) -> SmallView:
    return replace(view, photo=_bytes(np.clip(view.photo / 255 * np.array(factors), 0, 1)))


def painted_over(view: SmallView) -> SmallView:
    photo = view.photo.copy()
    photo[HEIGHT // 3 : 2 * HEIGHT // 3, WIDTH // 3 : 2 * WIDTH // 3] = 250
    return replace(view, photo=photo)


def hidden(view: SmallView) -> SmallView:
    """The top is out of the mask, because something else is seen there."""
    cut = without_top(view)
    photo = cut.photo.copy()
    photo[cut.extra] = 250
    return replace(cut, photo=photo)


BRIGHT = 2 ** (1 / 2.2)
DAMAGES: dict[str, tuple[Callable[[SmallView], SmallView], Cause, str]] = {
    "inverted": (lambda view: with_mask(view, ~view.mask), Cause.INVERTED, ""),
    "cut mask": (without_top, Cause.LACKS, "of it"),
    "hidden": (hidden, Cause.HIDDEN, "of it"),
    "stand": (with_stand, Cause.BEYOND, "of the mask"),
    "turned camera": (lambda view: moved(view, 9, -4), Cause.SHIFTED, "the silhouette is 43 pixels away"),
    "one stop": (lambda view: brighter(view, (BRIGHT,) * 3), Cause.EXPOSURE, "+1.0 EV"),
    "white balance": (lambda view: brighter(view, (1.7, 1.0, 0.6)), Cause.BALANCE, "red × 1.70, green × 1.00"),
    "blurred": (lambda view: replace(view, sharpness=0.01), Cause.BLURRED, "of the usual fine detail"),
    "painted over": (painted_over, Cause.COLOURS, "PSNR"),
    "explained": (lambda view: replace(view, stops_seen=(1.0, 1.1, 0.9)), Cause.EXPOSURE, "+1.0 EV"),
}


def test_nothing_is_said_about_views_that_are_alike(good: list[SmallView]) -> None:
    found = judge(NAMES, good)
    assert found.line.startswith("good: mask IoU 0.9") and not found.warnings and not found.flagged


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_view_is_named_with_what_was_done_to_it(damage: str, good: list[SmallView]) -> None:
    change, cause, detail = DAMAGES[damage]
    good[BAD] = change(good[BAD])
    (named,) = judge(NAMES, good).flagged
    assert (named.name, named.cause) == (NAMES[BAD], cause)
    assert detail in named.detail


def test_exchanged_photos_are_named_with_the_views_that_they_show(good: list[SmallView]) -> None:
    one, two = good[BAD], good[OTHER]
    good[BAD] = replace(one, photo=two.photo, mask=two.mask, inner=two.inner)
    good[OTHER] = replace(two, photo=one.photo, mask=one.mask, inner=one.inner)
    found = judge(NAMES, good)
    expected = [(NAMES[BAD], f"it fits view {NAMES[OTHER]}"), (NAMES[OTHER], f"it fits view {NAMES[BAD]}")]
    assert [(view.name, view.detail) for view in found.flagged] == expected
    assert {view.cause for view in found.flagged} == {Cause.EXCHANGED}


def test_a_camera_that_the_silhouette_cannot_tell_is_told_by_colours(good: list[SmallView]) -> None:
    """As of an object that fills the photo."""
    everything = np.ones((HEIGHT, WIDTH), bool)
    filled = [replace(view, mask=everything, hit=everything, inner=everything) for view in good]
    filled = [replace(view, rendered=_bytes(noise(seed, 3))) for seed, view in enumerate(filled)]
    filled[BAD] = moved(filled[BAD], 6, 0)
    (named,) = judge(NAMES, filled).flagged
    assert (named.cause, named.detail) == (Cause.SHIFTED, "the picture is 24 pixels away")
    assert math.isnan(named.score.mask_iou)  # no background: silhouettes are not judged


def test_brightness_is_not_judged_by_colours_that_are_not_there_yet(good: list[SmallView]) -> None:
    random = np.random.default_rng(0)
    rough = [replace(view, rendered=random.integers(0, 256, view.rendered.shape, np.uint8)) for view in good]
    rough[BAD] = replace(rough[BAD], stops_seen=(1.0, 1.1, 0.9))
    assert not judge(NAMES, rough).flagged


def test_what_a_wrong_view_drags_with_it_is_not_named(good: list[SmallView]) -> None:
    scores = [ViewScore(0.98, 25.0)] * VIEWS
    scores[OTHER] = ViewScore(0.9, 25.0)
    assert [view.name for view in judge(NAMES, good, scores).flagged] == [NAMES[OTHER]]
    scores[BAD] = ViewScore(0.1, 25.0)
    assert [view.name for view in judge(NAMES, good, scores).flagged] == [NAMES[BAD]]


def test_few_views_cannot_be_told_from_the_others(good: list[SmallView]) -> None:
    assert not judge(NAMES[:4], [without_top(good[0]), *good[1:4]]).flagged


def test_a_fit_that_is_poor_as_a_whole_says_so_and_names_no_view(good: list[SmallView]) -> None:
    poor = judge(NAMES, good, [ViewScore(0.78 + 0.04 * (k % 2), 20.0) for k in range(VIEWS)])
    assert poor.line.startswith("poor: mask IoU 0.800") and not poor.flagged
    assert len(poor.warnings) == 1 and poor.warnings[0].startswith("mask IoU 0.80, below 0.9: masks or cameras")
    uneven = judge(NAMES, good, [ViewScore(0.98, 16.0 + 2 * k) for k in range(VIEWS)])
    assert uneven.warnings == [
        "PSNR differs from view to view, from 16.0 to 30.0 dB: light or exposure changed, or cameras are inexact"
    ]


def test_a_line_names_five_views_at_most() -> None:
    views = [good_view(seed % VIEWS) for seed in range(24)]
    for index in range(7):
        views[index] = replace(views[index], sharpness=0.005)
    (line,) = judge([f"{k:03d}" for k in range(24)], views).warnings
    assert line.startswith("the photo is blurred in views 000 (0.0") and "004" in line and "005" not in line
    assert f"and {7 - NAMED} others; mend or remove them" in line


def test_the_line_says_how_many_views_it_is_of(good: list[SmallView]) -> None:
    assert judge(NAMES, good, total=300).line.endswith(f"from {VIEWS} of 300 views")
    assert Judgement((), (), 0).line == "good"


def test_shifts_and_gains_are_found(good: list[SmallView]) -> None:
    distance, overlap = best_shift(moved(good[0], -5, 12))
    assert distance == pytest.approx(13 * FACTOR, abs=FACTOR) and overlap > 0.9
    distance, psnr = best_colour_shift(moved(good[0], -3, 4))
    assert distance == pytest.approx(5 * FACTOR) and psnr > 25
    assert gain(brighter(good[0], (1.2, 1.0, 0.8))) == pytest.approx([1.2, 1.0, 0.8], rel=0.01)
    assert stops(brighter(good[0], (BRIGHT,) * 3)) == pytest.approx(1, abs=0.02)


def test_a_blurred_photo_has_less_fine_detail() -> None:
    photo, mask = noise(0, 0.7), blob(0)
    sharp = sharpness(_bytes(photo), mask)
    assert sharpness(_bytes(gaussian_filter(photo, (2, 2, 0))), mask) < 0.4 * sharp
    assert math.isnan(sharpness(_bytes(photo), np.zeros_like(mask)))
    assert math.isnan(sharpness(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), mask))


def test_a_camera_far_from_all_others_has_no_neighbours() -> None:
    angles = torch.tensor([0.0, 10, 20, 30, 90]).deg2rad()
    centres = torch.stack([angles.cos(), angles.sin(), 0 * angles], dim=1)
    cameras = Cameras(torch.zeros(5, 4), centres, torch.eye(3).repeat(5, 1, 1))
    assert [sorted(near) for near in neighbours(cameras)] == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], []]


def test_thumbnails_of_many_views_are_smaller() -> None:
    sides = [thumbnail_side(views) for views in (3, 30, 100, 300)]
    assert sides == [128, 128, 72, 48]


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.round(picture * 255).astype(np.uint8)
