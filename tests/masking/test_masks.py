"""Silhouettes cut from photos of a ball on a table, step by step and all together."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation
from table_scene import MIDDLE, RADIUS, TableScene, make_scene, project

from taichi_idr.capture.distortion import distorted, unbent
from taichi_idr.capture.formats.source import Lens
from taichi_idr.errors import Unavailable
from taichi_idr.masking import rounds
from taichi_idr.masking.cutting import BACKGROUND, LIKELY_BACKGROUND, LIKELY_OBJECT, OBJECT, cut
from taichi_idr.masking.rounds import object_masks
from taichi_idr.masking.seeds import first_seeds, narrowed
from taichi_idr.masking.small_photos import SmallPhoto, cameras_of, small_photos
from taichi_idr.masking.table import table_picture
from taichi_idr.masking.writing import write_masks
from taichi_idr.structure.model import Structure
from taichi_idr.structure.region import Region, find_region

VIEWS = 10
pytestmark = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> TableScene:
    return make_scene(tmp_path_factory.mktemp("photos"), views=VIEWS)


@pytest.fixture(scope="module")
def structure(scene: TableScene) -> Structure:
    return scene.structure(np.random.default_rng(0), points=300)


@pytest.fixture(scope="module")
def region(structure: Structure) -> Region:
    return find_region(structure, np.random.default_rng(0))


@pytest.fixture(scope="module")
def small(structure: Structure) -> list[SmallPhoto]:
    return small_photos(structure)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_masks_are_those_of_the_ball(scene, structure, region, small):
    found = object_masks(small, structure, region)
    assert min(iou(*pair) for pair in zip(found, scene.masks, strict=True)) > 0.96


def test_without_a_table_colours_alone_decide(scene, structure, region, small):
    found = object_masks(small, structure, replace(region, support=None))
    assert np.mean([iou(*pair) for pair in zip(found, scene.masks, strict=True)]) > 0.9


def test_another_exposure_in_each_photo(tmp_path, structure, region):
    gains = np.random.default_rng(5).uniform(0.7, 1.2, VIEWS)
    scene = make_scene(tmp_path, views=VIEWS, gains=gains)
    darker = replace(structure, views=tuple(scene.views))
    found = object_masks(small_photos(darker), darker, region)
    assert min(iou(*pair) for pair in zip(found, scene.masks, strict=True)) > 0.93


def test_first_seeds_are_right_where_they_are_sure(scene, structure, region, small):
    for view, (photo, mask) in enumerate(zip(small, scene.masks, strict=True)):
        seeds = first_seeds(photo, view, structure, region)
        assert binary_dilation(mask)[seeds == OBJECT].all()  # a point at the outline falls on either side
        assert mask[seeds == BACKGROUND].mean() < 0.02
        assert (seeds == OBJECT).sum() > 0.05 * mask.sum() and (seeds == BACKGROUND).sum() > 100
        near = narrowed(seeds)
        assert ((near == LIKELY_OBJECT) <= (seeds == LIKELY_OBJECT)).all()
        assert (near == OBJECT).sum() == (seeds == OBJECT).sum()


def test_the_table_is_seen_and_the_ball_differs_from_it(scene, region, small):
    assert region.support is not None
    table = table_picture(small, scene.masks, region, region.support)
    for photo, mask in zip(small, scene.masks, strict=True):
        away = table.difference(photo, mask)
        known = np.isfinite(away)
        assert np.median(away[known & ~mask]) < 0.3 * np.median(away[known & mask])
        assert not known[0].all()  # above the horizon


def test_seeds_that_know_one_side_decide_alone():
    colour = np.zeros((8, 8, 3), np.uint8)
    assert cut(colour, np.full((8, 8), LIKELY_OBJECT, np.uint8)).all()
    assert not cut(colour, np.full((8, 8), LIKELY_BACKGROUND, np.uint8)).any()


def test_without_opencv(no_opencv):
    no_opencv()
    with pytest.raises(Unavailable, match=r"OpenCV.*pip install 'taichi-idr\[photos\]'"):
        cut(np.zeros((8, 8, 3), np.uint8), np.arange(64, dtype=np.uint8).reshape(8, 8) % 4)


@pytest.mark.parametrize("k", [-0.2, 0.15])
def test_unbent_undoes_a_lens(k):
    lens = Lens((k, 0.0))
    x, y = np.meshgrid(np.linspace(-0.6, 0.6, 9), np.linspace(-0.4, 0.4, 7))
    back = unbent(lens, *distorted(lens, x, y))
    np.testing.assert_allclose(np.stack(back), np.stack([x, y]), atol=1e-6)
    assert unbent(Lens(()), x, y)[0] is x


@pytest.mark.parametrize("k", [0.0, -0.1])
def test_a_small_mask_in_the_photo_in_full(structure, k):
    """The ball's outline, as a lens bends it: where its points fall."""
    bent = replace(structure, views=tuple(replace(view, lens=Lens((k, 0.0))) for view in structure.views))
    photo = small_photos(bent, 80)[0]
    assert photo.shape == (60, 80)
    places = np.stack(np.meshgrid(np.arange(80), np.arange(60)), axis=-1).reshape(-1, 2)
    local = (places - (photo.pinhole.cx, photo.pinhole.cy)) / (photo.pinhole.fx, photo.pinhole.fy)
    rays = np.column_stack([local, np.ones(len(local))]) @ np.array(photo.view.rotation).T
    away = MIDDLE - np.array(photo.view.centre)
    along = rays @ away / np.linalg.norm(rays, axis=1)
    mask = (away @ away - along**2 < RADIUS**2).reshape(60, 80)
    full = photo.in_full(mask) > 0.5
    assert full.shape == (120, 160)
    straight = project(photo.view, structure.points[:300])
    x, y = (straight - (79.5, 59.5)).T / photo.view.pinhole.fx
    u, v = (np.stack(distorted(photo.view.lens, x, y)) * photo.view.pinhole.fx + np.array([[79.5], [59.5]])).round()
    assert full[v.astype(int), u.astype(int)].mean() > 0.92  # points at the outline fall on either side
    assert full.mean() < 1.6 * mask.mean()


def test_small_photos_project_points_to_where_they_are_seen(structure, small):
    places, depth = small[3].project(structure.points)
    assert (depth > 0).all()
    np.testing.assert_allclose(places, project(structure.views[3], structure.points), atol=1e-9)


def test_cameras_in_the_regions_frame(structure, region, small):
    from taichi_idr.cameras.pinhole import projections

    T = region.T_region_world(np.array([0.0, 0, 1]))
    inside = structure.points[:50] @ T[:3, :3].T + T[:3, 3]
    assert np.linalg.norm(inside, axis=1).max() < 1
    P = projections(cameras_of(small, T)).numpy()[2]
    place = np.column_stack([inside, np.ones(50)]) @ P.T
    np.testing.assert_allclose(
        place[:, :2] / place[:, 2:], project(structure.views[2], structure.points[:50]), atol=1e-6
    )


def test_written_masks_have_the_photos_names_and_sizes(scene, small, tmp_path):
    write_masks(small, scene.masks, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"photo_{k:02d}.png" for k in range(VIEWS)]
    with Image.open(tmp_path / "photo_03.png") as image:
        assert image.mode == "L"
        assert iou(np.asarray(image) > 127, scene.masks[3]) > 0.99


def test_what_most_photos_show_may_look_like_the_table_in_one(scene, region, small):
    """Half of the ball is lost in one photo, and said to be background there for its likeness to the table."""
    cameras = cameras_of(small, region.T_region_world(np.array([0.0, 0.0, 1.0])))
    right = np.arange(scene.masks[3].shape[1]) > np.nonzero(scene.masks[3])[1].mean()
    seeds = [np.where(mask, LIKELY_OBJECT, LIKELY_BACKGROUND).astype(np.uint8) for mask in scene.masks]
    masks = [mask.copy() for mask in scene.masks]
    seeds[3][:, right], masks[3][:, right] = BACKGROUND, False
    lost = scene.masks[3] & right
    found = rounds._agreed(masks, seeds, cameras, -np.inf, more=True)[3]
    assert (found[lost] == LIKELY_OBJECT).mean() > 0.5 and not (found[lost] == OBJECT).any()
    assert (found[~scene.masks[3]] == BACKGROUND).mean() > 0.9
    plain = rounds._agreed(masks, seeds, cameras, -np.inf, more=False)[3]  # a backdrop knows better
    assert (plain[lost] == BACKGROUND).all()
