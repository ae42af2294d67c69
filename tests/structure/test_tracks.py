"""Points from photos whose cameras are known."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from table_scene import MIDDLE, RADIUS, TableScene, make_scene

from taichi_idr.capture.formats.source import FoundView, Lens
from taichi_idr.errors import Unavailable
from taichi_idr.structure.features import Features, find_features, matched
from taichi_idr.structure.model import Structure
from taichi_idr.structure.region import find_region
from taichi_idr.structure.tracks import FEWEST, known_structure

needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> TableScene:
    return make_scene(tmp_path_factory.mktemp("photos"), views=24, size=(240, 320))


@pytest.fixture(scope="module")
def structure(scene: TableScene) -> Structure:
    return known_structure(scene.views)


def to_surface(points: np.ndarray) -> np.ndarray:
    """Distance from ball and table (N,)."""
    ball = np.abs(np.linalg.norm(points - MIDDLE, axis=1) - RADIUS)
    return np.minimum(ball, np.abs(points[:, 2]))


@needs_opencv
def test_points_lie_on_ball_and_table(structure):
    away = to_surface(structure.points)
    assert len(away) > 300 and np.median(away) < 0.005 and (away < 0.05).mean() > 0.95
    assert np.bincount(structure.observed).min() >= FEWEST
    shown = np.unique(np.column_stack([structure.observing, structure.observed]), axis=0)
    assert len(shown) == len(structure.observed)  # by each photo once


@needs_opencv
def test_they_fall_where_photos_show_them(structure):
    for view in range(0, len(structure), 6):
        found, p = structure.views[view], structure.views[view].pinhole
        x, y, z = ((structure.points[structure.seen_by(view)] - found.centre) @ np.array(found.rotation)).T
        falls = np.stack([p.fx * x / z + p.cx, p.fy * y / z + p.cy], axis=1)
        beside = np.linalg.norm(falls - structure.places[structure.observing == view], axis=1)
        assert np.median(beside) < 0.7 and beside.max() < 2


@needs_opencv
def test_the_ball_is_found_among_them(structure):
    region = find_region(structure, np.random.default_rng(0))
    assert region.support is not None and abs(region.support.normal[2]) > 0.999
    assert np.linalg.norm(region.centre - MIDDLE) < 0.3 and RADIUS < region.radius < 2 * RADIUS


@needs_opencv
def test_wrong_cameras_share_nothing(scene):
    turned = [replace(view, centre=scene.views[k - 7].centre) for k, view in enumerate(scene.views)]
    assert len(known_structure(turned).points) < 30


@needs_opencv
def test_a_lens_that_bends_is_undone(scene, tmp_path):
    """Photos resampled as a lens had taken them."""
    from scipy.ndimage import map_coordinates

    from taichi_idr.capture.distortion import unbent

    lens, bent = Lens((-0.15, 0.0)), list[FoundView]()
    for view, photo in zip(scene.views, scene.photos, strict=True):
        p = view.pinhole
        u, v = np.meshgrid(np.arange(p.width), np.arange(p.height))
        x, y = unbent(lens, (u - p.cx) / p.fx, (v - p.cy) / p.fy)
        at = (y * p.fy + p.cy, x * p.fx + p.cx)
        layers = [map_coordinates(photo[..., k], at, order=1, mode="nearest") for k in range(3)]
        file = tmp_path / view.image.name
        Image.fromarray(np.stack(layers, axis=-1)).save(file)
        bent.append(replace(view, image=file, lens=lens))
    right = to_surface(known_structure(bent).points)
    assert len(right) > 250 and np.median(right) < 0.006
    wrong = known_structure([replace(view, lens=Lens(())) for view in bent])
    assert len(wrong.points) < 0.9 * len(right) or np.median(to_surface(wrong.points)) > 2 * np.median(right)


def test_matches_are_mutual_and_distinct():
    generator = np.random.default_rng(0)
    a = generator.normal(size=(20, 128)).astype(np.float32)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = a[::-1].copy()
    b[1] = b[0]  # two that are alike: neither is distinct
    pairs = matched(Features(np.zeros((20, 2)), a), Features(np.zeros((20, 2)), b))
    assert sorted(map(tuple, pairs.tolist())) == [(k, 19 - k) for k in range(18)]
    assert len(matched(Features(np.zeros((1, 2)), a[:1]), Features(np.zeros((20, 2)), b))) == 0


@needs_opencv
def test_a_photo_without_texture_has_no_features(tmp_path):
    file = tmp_path / "grey.png"
    Image.new("RGB", (64, 48), (90, 90, 90)).save(file)
    assert len(find_features([file])[0]) == 0


def test_without_opencv(no_opencv):
    no_opencv()
    with pytest.raises(Unavailable, match=r"OpenCV.*pip install 'taichi-idr\[photos\]'"):
        find_features([Path("photo.png")])
