"""Depth maps of textured balls, photographed exactly from one side: their hull is twice as deep as they are."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from ball_run import RADIUS
from textured_balls import Balls, ball, pictured, shading, twelve
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.config import StereoConfig
from taichi_idr.methods.fast.initial_shape import hull_distance
from taichi_idr.methods.fast.stereo_start import stereo_start
from taichi_idr.ops.visual_hull import first_occupied, visual_hull
from taichi_idr.stereo.carving import carve, fused_distance
from taichi_idr.stereo.maps import DepthMaps, depth_maps
from taichi_idr.stereo.neighbours import nearest_views
from taichi_idr.stereo.small_photos import small_photos
from taichi_idr.stereo.surface_points import surface_points
from taichi_idr.tracing.lattice import interpolate
from taichi_idr.types import Capture

HULL = 48
CELL = 2 / (HULL - 1)
CONFIG = StereoConfig(side=120)
PIXEL = 2 * RADIUS / 60  # of a depth map
TWO = (((-0.2, 0.25, 0.0), 0.3), ((0.15, -0.25, 0.1), 0.25))


@cache
def seen(shapes: tuple[tuple[tuple[float, float, float], float], ...] = ()) -> tuple[Capture, Tensor]:
    """A capture of balls, and its hull."""
    capture = pictured(Balls(*shapes) if shapes else ball(), twelve())
    return capture, visual_hull(capture.masks, capture.cameras, HULL, min_fraction=1.0).cpu()


def maps_of(capture: Capture, hull: Tensor, config: StereoConfig = CONFIG) -> DepthMaps | None:
    device = runtime.current().device
    return depth_maps(capture, capture.cameras, hull.to(device), config, lambda: None)


def known(capture: Capture, hull: Tensor) -> DepthMaps:
    maps = maps_of(capture, hull)
    assert maps is not None
    return maps


def lattice() -> Tensor:
    axis = torch.linspace(-1, 1, HULL)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)


@pytest.mark.parametrize("shapes", [(), TWO], ids=["one", "two"])
def test_points_lie_on_the_surface_and_know_their_normals(shapes):
    balls = Balls(*shapes) if shapes else ball()
    maps = known(*seen(shapes))
    assert maps.share > 0.5
    found = surface_points(maps, 100_000)
    points = found.points.cpu().double()
    off = ((points[:, None] - balls.centres).norm(dim=2) - balls.radii).abs().amin(dim=1)
    assert float(off.median()) < 0.25 * PIXEL
    assert float((off > PIXEL).double().mean()) < 0.03  # measured: 0.015, at the edge of the nearer ball
    cosine = (balls.gradient(points) * found.normals.cpu()).sum(dim=1).clamp(-1, 1)
    assert float(torch.rad2deg(torch.acos(cosine)).median()) < 6
    assert float(found.normals.norm(dim=1).sub(1).abs().max()) < 1e-5
    assert 0 < float(found.confidence.min()) <= float(found.confidence.max()) <= 1


def test_many_points_become_fewer_and_stay_where_they_are():
    maps = known(*seen())
    few = surface_points(maps, 2000)
    assert 500 < len(few) <= 2000 < len(surface_points(maps, 100_000))
    assert float((few.points.norm(dim=1) - RADIUS).abs().median()) < 0.1 * PIXEL


@pytest.mark.parametrize("shapes", [(), TWO], ids=["one", "two"])
def test_carving_takes_air_and_nothing_of_the_object(shapes):
    balls = Balls(*shapes) if shapes else ball()
    capture, hull = seen(shapes)
    carved = carve(hull.to(runtime.current().device), known(capture, hull), CONFIG).cpu()
    inside = ((lattice()[..., None, :] - balls.centres).norm(dim=-1) < balls.radii).any(dim=-1)
    front = lattice() @ capture.cameras.centres.mean(dim=0).float() > 0
    assert bool(carved[inside & hull].all())
    assert not bool((carved & ~hull).any())
    air = hull & ~inside & front
    assert int((air & carved).sum()) < 0.7 * int(air.sum())


def test_maps_that_see_through_everything_leave_what_silhouettes_need():
    """Surfaces twice as far away as they are: all air, but every photo's object is still there."""
    capture, hull = seen()
    maps = known(capture, hull)
    hull = hull.to(maps.planes.device)
    carved = carve(hull, replace(maps, planes=maps.planes / 2), CONFIG)
    rays = maps.photos.rays()
    shown, left = (first_occupied(x, rays) >= 0 for x in (hull, carved))
    assert float(left[shown].double().mean()) > 0.95


def test_the_distance_is_nearer_to_the_truth_than_that_of_a_lattice():
    capture, hull = seen()
    maps = known(capture, hull)
    device = runtime.current().device
    carved = carve(hull.to(device), maps, CONFIG)
    own = hull_distance(carved)
    fused = fused_distance(own, maps, CONFIG)
    assert fused.shape == own.shape
    towards = torch.nn.functional.normalize(surface_points(maps, 3000).points.cpu(), dim=1)
    for off, share in ((-0.02, 1.0), (0.0, 0.85), (0.02, 0.9)):  # measured: 0.72 at the surface
        places = (RADIUS + off) * towards.float()
        before, after = (float((interpolate(x.cpu(), places) - off).abs().mean()) for x in (own, fused))
        assert after < share * before, (off, after / before)


def test_twice_the_same():
    one, other = known(*seen()), known(*seen())
    assert torch.equal(one.planes, other.planes) and torch.equal(one.likeness, other.likeness)


def test_what_has_no_texture_or_too_few_photos_has_no_maps():
    capture, hull = seen()
    smooth = pictured(ball(), twelve(), shading)
    assert maps_of(smooth, hull) is None
    for few in ([0], [0, 1], [0, 6]):
        part = replace(
            capture,
            images=[capture.images[v] for v in few],
            masks=[capture.masks[v] for v in few],
            cameras=capture.cameras[few],
        )
        assert maps_of(part, hull) is None
    assert maps_of(capture, torch.zeros_like(hull)) is None
    nothing = replace(capture, masks=[np.zeros_like(mask) for mask in capture.masks])
    assert maps_of(nothing, hull) is None


def test_photos_of_different_sizes():
    """Rows and columns without object are cut off some photos; others are as they were."""
    capture, hull = seen()
    images, masks = list(capture.images), list(capture.masks)
    for view in (1, 4, 7):
        last = np.flatnonzero(masks[view].any(axis=1))[-1] + 3
        images[view], masks[view] = images[view][:last], masks[view][:last]
    maps, whole = known(replace(capture, images=images, masks=masks), hull), known(capture, hull)
    assert abs(maps.share - whole.share) < 0.05
    found = surface_points(maps, 100_000).points
    assert float((found.norm(dim=1) - RADIUS).abs().median()) < 0.1 * PIXEL


def test_more_photos_than_maps():
    capture, hull = seen()
    maps = maps_of(capture, hull, CONFIG.model_copy(update={"views": 6, "widest": 60.0}))
    assert maps is not None and len(maps.photos.capture) == 6


def test_small_photos_are_means_over_the_object():
    capture, _ = seen()
    small = small_photos(capture, 60)
    side = max(np.ptp(np.flatnonzero(capture.masks[0].any(axis=axis))) + 1 for axis in (0, 1))
    factor = -(-side // 60)
    top, left = (length // 2 for length in capture.masks[0].shape)
    top, left = top // factor, left // factor
    block = np.s_[factor * top : factor * (top + 1), factor * left : factor * (left + 1)]
    on = capture.masks[0][block]
    assert on.any()
    expected = capture.images[0][block][on].mean(axis=0)
    np.testing.assert_allclose(small.capture.images[0][top, left], expected, atol=0.5)
    assert len(small.index) == sum(mask.sum() for mask in small.capture.masks)


def test_nearest_views_in_order_and_none_too_near_or_too_far():
    angles = torch.deg2rad(torch.tensor([0.0, 2.0, 10.0, 25.0, 80.0], dtype=torch.float64))
    centres = 3 * torch.stack([angles.cos(), angles.sin(), 0 * angles], dim=1) + 1
    middle = torch.ones(3, dtype=torch.float64)
    assert nearest_views(centres, middle, 3, 4.0, 60.0).tolist() == [
        [2, 3, -1],
        [2, 3, -1],
        [1, 0, 3],
        [2, 1, 0],
        [3, -1, -1],
    ]


def test_a_start_says_what_it_carved_or_is_none():
    capture, hull = seen()
    start = stereo_start(hull, capture, capture.cameras, CONFIG, lambda: None)
    assert start is not None and start.line.endswith("of the visual hull carved") and not start.shiny
    off = CONFIG.model_copy(update={"enabled": False})
    assert stereo_start(hull, capture, capture.cameras, off, lambda: None) is None


def test_it_can_be_stopped():
    def stop() -> None:
        raise KeyboardInterrupt

    capture, hull = seen()
    with pytest.raises(KeyboardInterrupt):
        depth_maps(capture, capture.cameras, hull, CONFIG, stop)
