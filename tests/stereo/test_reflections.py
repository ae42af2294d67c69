"""What a polished ball mirrors has depths, which are not its own."""

from __future__ import annotations

from functools import cache

import torch
from ball_run import RADIUS
from textured_balls import Balls, ball, from_all_around, random_texture
from torch import Tensor
from torch.nn.functional import normalize

from taichi_idr import runtime
from taichi_idr.config import StereoConfig
from taichi_idr.methods.fast.initial_shape import hull_distance
from taichi_idr.methods.fast.stereo_start import stereo_start
from taichi_idr.ops.visual_hull import visual_hull
from taichi_idr.stereo.carving import carve
from taichi_idr.stereo.maps import DepthMaps, depth_maps
from taichi_idr.stereo.reflections import without_reflections
from taichi_idr.stereo.surface_points import surface_points
from taichi_idr.types import Capture

HULL = 48
CELL = 2 / (HULL - 1)
CONFIG = StereoConfig(side=120)
ONE, TWO = ball(), Balls(((0.0, 0.0, -0.35), 0.3), ((0.0, 0.0, 0.35), 0.3))
ALL, NONE, UPPER = -1.0, 1.0, 0.0


def mirrored(points: Tensor, normals: Tensor, centre: Tensor) -> Tensor:
    """What a camera at `centre` (3,) sees at points (N, 3) of a mirror with such normals: a far world of stripes."""
    towards = normalize(points - centre, dim=1)
    x, y, z = (towards - 2 * (towards * normals).sum(dim=1, keepdim=True) * normals).unbind(1)
    return 0.5 + 0.25 * torch.sin(12 * x + 3 * z) + 0.2 * torch.sin(14 * y - 4 * z)


@cache
def captured(balls: Balls, polished: float) -> tuple[Capture, Tensor]:
    """Balls of which those that lie above `polished` mirror and the others have a texture, and their hull."""

    def shade(points: Tensor, centre: Tensor) -> Tensor:
        images = mirrored(points, balls.gradient(points), centre)
        return torch.where(points[:, 2] > polished, images, random_texture(points))

    capture = from_all_around(balls, shade)
    hull = visual_hull(capture.masks, capture.cameras, HULL, min_fraction=1.0)
    return capture, hull.to(runtime.current().device)


def known(capture: Capture, hull: Tensor) -> DepthMaps:
    maps = depth_maps(capture, capture.cameras, hull, CONFIG, lambda: None)
    assert maps is not None
    return maps


def lost(carved: Tensor) -> float:
    """Share of the ball that is not there."""
    places = (carved.new_ones(carved.shape).nonzero() * CELL - 1).norm(dim=1)
    return 1 - float(carved.flatten()[places < RADIUS - CELL].double().mean())


def test_images_behind_a_mirror_carve_nothing():
    capture, hull = captured(ONE, ALL)
    maps = known(capture, hull)
    assert maps.share > 0.4
    carved = carve(hull, maps, CONFIG)
    assert lost(carved) > 0.05
    real = without_reflections(maps, carved)
    assert real.share < 0.02  # measured: 0.002
    assert lost(carve(hull, real, CONFIG)) == 0
    assert real.share == float((real.inverse > 0).double().mean())


def test_no_depth_of_a_texture_is_taken_for_a_reflection():
    capture, hull = captured(ONE, NONE)
    maps = known(capture, hull)
    real = without_reflections(maps, carve(hull, maps, CONFIG))
    assert maps.share > 0.4 and real.share == maps.share
    assert torch.equal(real.planes, maps.planes)


def test_a_fit_of_a_mirror_starts_from_silhouettes_alone():
    capture, hull = captured(ONE, ALL)
    start = stereo_start(hull, capture, capture.cameras, CONFIG, lambda: None)
    assert start is not None and start.shiny and start.points is None
    assert torch.equal(start.bound, hull_distance(hull)) and torch.equal(start.distance, start.bound)


def test_of_two_balls_the_polished_one_alone_loses_its_depths():
    capture, hull = captured(TWO, UPPER)
    maps = known(capture, hull)
    real = without_reflections(maps, carve(hull, maps, CONFIG))
    before, after = (surface_points(some, 100_000).points[:, 2] > 0 for some in (maps, real))
    assert int(before.sum()) > 1000 > 20 * int(after.sum())
    assert int((~after).sum()) == int((~before).sum())
