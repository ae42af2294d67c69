"""The ball about what stands out of the support."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import table_scene
from table_scene import MIDDLE, RADIUS, TableScene, make_scene

from taichi_idr.errors import BadInput
from taichi_idr.masking.object_ball import ROOM, sighted_region
from taichi_idr.masking.small_photos import SmallPhoto, seen_from, small_photos
from taichi_idr.structure.model import Structure
from taichi_idr.structure.region import Region, find_region, upright

VIEWS = 12
pytestmark = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> TableScene:
    return make_scene(tmp_path_factory.mktemp("photos"), views=VIEWS, gains=np.linspace(0.8, 1.2, VIEWS))


@pytest.fixture(scope="module")
def structure(scene: TableScene) -> Structure:
    return scene.structure(np.random.default_rng(0), points=300)


@pytest.fixture(scope="module")
def small(structure: Structure) -> list[SmallPhoto]:
    return small_photos(structure)


def without_object(structure: Structure) -> Structure:
    """Only what the table's points are."""
    table = np.flatnonzero(structure.points[:, 2] == 0)
    seen = np.isin(structure.observed, table)
    parts = {key: getattr(structure, key)[seen] for key in ("observing", "places")}
    observed = np.searchsorted(table, structure.observed[seen])
    return replace(
        structure, points=structure.points[table], errors=structure.errors[table], observed=observed, **parts
    )


def found(structure: Structure) -> Region:
    return find_region(structure, np.random.default_rng(0))


def assert_about_the_ball(region: Region) -> None:
    assert np.linalg.norm(region.centre - MIDDLE) + RADIUS < region.radius < 1.35 * ROOM * RADIUS


def test_an_object_without_points_is_seen(structure, small):
    bare = without_object(structure)
    region = sighted_region(found(bare), small, bare.points)
    assert_about_the_ball(region)
    assert region.support is not None and not region.is_object.any()


def test_a_part_without_points_is_seen(structure, small):
    """The object's points reach to a third of its height only."""
    high = structure.points[:, 2] > RADIUS * 2 / 3
    low = replace(structure, points=np.where(high[:, None], 50.0, structure.points))
    before = found(low)
    assert np.linalg.norm(before.centre - MIDDLE) + RADIUS > before.radius
    assert_about_the_ball(sighted_region(before, small, low.points))


def test_in_another_frame_it_is_the_same(structure, small):
    before = sighted_region(found(structure), small, structure.points)
    moved, region = upright(structure, found(structure))
    again = sighted_region(region, seen_from(small, moved), moved.points)
    assert again.radius == pytest.approx(before.radius / found(structure).radius, rel=0.05)


def test_without_a_support_points_alone_tell(structure, small):
    region = replace(found(structure), support=None)
    assert sighted_region(region, small, structure.points) is region


def test_an_empty_table_has_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table_scene, "RADIUS", 1e-3)
    empty = without_object(make_scene(tmp_path / "photos", views=VIEWS).structure(np.random.default_rng(0), points=300))
    with pytest.raises(BadInput, match="object not found"):
        sighted_region(found(empty), small_photos(empty), empty.points)
