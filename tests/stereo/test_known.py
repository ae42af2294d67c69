"""DVR-7 for presets of stereo: depth that a capture brings along, where photos have no texture to find one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ball_run import RADIUS
from textured_balls import SIZE, ball, pictured, pixel_rays, shading, twelve
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.config import StereoConfig
from taichi_idr.methods.fast import METHOD
from taichi_idr.methods.fast.settings import FastConfig
from taichi_idr.methods.fast.stereo_start import StereoStart, stereo_start
from taichi_idr.ops.visual_hull import visual_hull
from taichi_idr.stereo.maps import DepthMaps, depth_maps
from taichi_idr.stereo.surface_points import surface_points
from taichi_idr.types import Capture

HULL = 48
CONFIG = StereoConfig(side=120)
PIXEL = 2 * RADIUS / 60  # of a depth map
RNG_SEED = 4


@pytest.fixture(scope="module")
def plain() -> tuple[Capture, Tensor]:
    """A ball without texture, with its exact depth, and its hull."""
    runtime.init("cpu")
    capture = pictured(ball(), twelve(), shading)
    depths = []
    for view, mask in enumerate(capture.masks):
        hits = ball().trace(pixel_rays(capture.cameras, view))
        depths.append(np.where(mask, hits.depth.view(SIZE).numpy(), 0).astype(np.float32))
    hull = visual_hull(capture.masks, capture.cameras, HULL, min_fraction=1.0).cpu()
    return replace(capture, depths=tuple(depths)), hull


def changed(capture: Capture, change) -> Capture:
    generator = np.random.default_rng(RNG_SEED)
    return replace(capture, depths=tuple(change(depth, generator).astype(np.float32) for depth in capture.depths))


def sparse(depth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Every 40th pixel, and of these every tenth wrong."""
    kept = depth * (generator.random(depth.shape) < 1 / 40)
    return kept + (kept > 0) * (generator.random(depth.shape) < 0.1) * generator.uniform(-0.8, 0.8, depth.shape)


def maps_of(capture: Capture, hull: Tensor, config: StereoConfig = CONFIG) -> DepthMaps | None:
    return depth_maps(capture, capture.cameras, hull.to(runtime.current().device), config, lambda: None)


def off_surface(maps: DepthMaps) -> Tensor:
    return (surface_points(maps, 100_000).points.norm(dim=1) - RADIUS).abs()


@pytest.mark.parametrize("enabled", [True, False])
def test_dvr_7_known_depth_takes_the_place_of_stereo(plain, enabled):
    """DVR-7: where nearly all is known nothing is sought, whether it might be or not."""
    capture, hull = plain
    assert maps_of(replace(capture, depths=()), hull) is None  # nothing to be found
    maps = maps_of(capture, hull, CONFIG.model_copy(update={"enabled": enabled}))
    assert maps is not None and maps.share > 0.9
    off = off_surface(maps)
    assert float(off.median()) < 0.1 * PIXEL and float(off.quantile(0.99)) < PIXEL
    found = surface_points(maps, 100_000)
    cosine = (torch.nn.functional.normalize(found.points, dim=1) * found.normals).sum(dim=1).clamp(-1, 1)
    assert float(torch.rad2deg(torch.acos(cosine)).median()) < 3


def test_dvr_7_sparse_depth_with_outliers(plain):
    """DVR-7: what lies outside the hull, or what other photos' depths contradict, is not believed."""
    capture, hull = plain
    maps = maps_of(changed(capture, sparse), hull)
    assert maps is not None and 0.05 < maps.share < 0.8
    off = off_surface(maps)
    assert float(off.median()) < 0.5 * PIXEL
    assert float((off > 2 * PIXEL).double().mean()) < 0.02


def test_dvr_7_depths_that_contradict_each_other_are_not_used(plain, capsys):
    capture, hull = plain
    wild = changed(capture, lambda depth, generator: np.where(depth > 0, generator.uniform(2, 5, depth.shape), 0))
    assert maps_of(wild, hull) is None
    assert "known depth is not used: other photos' agrees with" in capsys.readouterr().err


def test_dvr_7_some_photos_may_have_none(plain):
    capture, hull = plain
    some = replace(capture, depths=tuple(d if view % 2 else None for view, d in enumerate(capture.depths)))
    maps = maps_of(some, hull)
    assert maps is not None and 0.3 < maps.share < 0.6


def test_dvr_7_a_fit_starts_from_known_depth_and_says_so(plain):
    capture, hull = plain
    start = stereo_start(hull, capture, capture.cameras, CONFIG, lambda: None)
    assert isinstance(start, StereoStart) and start.line.startswith("depth     ")
    assert stereo_start(hull, replace(capture, depths=()), capture.cameras, CONFIG, lambda: None) is None


def test_dvr_7_depth_is_not_read_where_poses_are_trained():
    train = FastConfig().model_copy(update={"cameras": FastConfig().cameras.model_copy(update={"train": True})})
    assert [METHOD.depth(config) for config in (FastConfig(), train)] == ["maps", "off"]
