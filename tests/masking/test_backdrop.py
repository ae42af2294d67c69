"""Objects before paper, cloth or a screen."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_erosion
from table_scene import make_scene

from taichi_idr.capture.formats.source import FoundView, Pinhole
from taichi_idr.masking.backdrop import PLAIN, backdrop_differences
from taichi_idr.masking.rounds import object_masks
from taichi_idr.masking.small_photos import SmallPhoto, small_photos
from taichi_idr.structure.region import find_region

VIEWS, SIZE = 10, 120
BACKDROPS = {"white": (236, 238, 240), "black": (14, 14, 16), "green": (60, 180, 80)}
pytestmark = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")


def lit(colour: tuple[int, int, int]) -> np.ndarray:
    """A background that is darker towards its corners, and noisy."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    light = 1 - 0.08 * (x * x + y * y) + 0.04 * x
    return np.array(colour) * light[..., None] + np.random.default_rng(0).normal(0, 1, (SIZE, SIZE, 3))


def photo(colour: np.ndarray) -> SmallPhoto:
    pinhole = Pinhole(100.0, 100.0, 59.5, 59.5, SIZE, SIZE)
    view = FoundView(Path("photo.png"), ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)), (0.0, 0, 0), pinhole)
    return SmallPhoto(view, np.clip(colour, 0, 255).astype(np.uint8), pinhole)


def disc(radius: float, column: float = 60, row: float = 60) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.hypot(x - column, y - row) < radius


@pytest.mark.parametrize("name", BACKDROPS)
def test_what_differs_is_the_object(name):
    colour, thing = lit(BACKDROPS[name]), disc(30)
    colour[thing] = (150, 90, 60)
    found = backdrop_differences([photo(colour)])
    assert found is not None
    assert np.nanmax(found[0][~thing]) < PLAIN < 3 * PLAIN < np.nanmin(found[0][thing])


def test_an_object_at_the_border_does_not_matter():
    colour, thing = lit(BACKDROPS["white"]), disc(40, row=110)
    colour[thing] = (150, 90, 60)
    found = backdrop_differences([photo(colour)])
    assert found is not None and np.nanmax(found[0][~thing]) < PLAIN < np.nanmin(found[0][thing])


def test_the_backdrop_s_colour_within_the_object_is_not_known():
    colour, ring = lit(BACKDROPS["white"]), disc(35) & ~disc(15)
    colour[ring] = (150, 90, 60)
    found = backdrop_differences([photo(colour)])
    assert found is not None
    assert np.isnan(found[0][binary_erosion(disc(15))]).mean() > 0.95 and np.isfinite(found[0][~disc(36)]).all()


def test_a_shadow_counts_less_than_an_object_as_dark():
    colour = lit(BACKDROPS["green"])
    light = np.where(disc(12, 35), 0.6, 1.0)[..., None]
    colour *= light
    colour[disc(12, 85)] = 0.6 * np.array((180, 60, 80))
    found = backdrop_differences([photo(colour)])
    assert found is not None and np.nanmean(found[0][disc(10, 35)]) < 0.3 * np.nanmean(found[0][disc(10, 85)])


def test_two_colours_are_no_backdrop():
    colour = lit(BACKDROPS["white"])
    colour[SIZE // 2 :] = (120, 80, 60)
    assert backdrop_differences([photo(colour)]) is None


def test_a_photo_that_is_not_plain_is_left_open():
    plain, odd = lit(BACKDROPS["white"]), np.random.default_rng(1).uniform(0, 255, (SIZE, SIZE, 3))
    found = backdrop_differences([photo(plain)] * 5 + [photo(odd)])
    assert found is not None and np.isnan(found[5]).all() and np.isfinite(found[0]).all()
    assert backdrop_differences([photo(plain)] * 3 + [photo(odd)]) is None


def test_masks_of_a_ball_before_a_wall(tmp_path):
    """Exact where GrabCut alone is not."""
    scene = make_scene(tmp_path, views=VIEWS, table=False)
    structure = scene.structure(np.random.default_rng(0), points=300)
    region = find_region(structure, np.random.default_rng(0))
    region = replace(region, support=None, is_support=np.zeros_like(region.is_support))
    found = object_masks(small_photos(structure), structure, region)
    assert min((a & b).sum() / (a | b).sum() for a, b in zip(found, scene.masks, strict=True)) > 0.985
