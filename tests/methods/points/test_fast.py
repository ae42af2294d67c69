"""Preset `fast` (PTS-3): minutes for large clouds, seconds for these."""

from __future__ import annotations

import numpy as np
import point_clouds
import pytest
import torch

from taichi_idr import runtime
from taichi_idr.clouds.cloud import Cloud
from taichi_idr.errors import BadInput
from taichi_idr.methods.points.fast import FastTrainer, geometry_for
from taichi_idr.methods.points.fitting import mesh_of
from taichi_idr.methods.points.prepared import found_inside, prepared, signed_steps, supported
from taichi_idr.methods.points.settings import make_points_config

SMALL = ["geometry.levels=6", "geometry.log2_rows=14", "geometry.width=32", "samples.surface=1024"]
SMALL += ["samples.around=512", "samples.elsewhere=512", "cloud.lattice=96", "schedule.steps=150"]


def fitted(cloud: Cloud):
    config = make_points_config("fast", SMALL)
    found = prepared(cloud, config.cloud)
    trainer = FastTrainer(config, found, found_inside(found, config.cloud.lattice), runtime.current().device)
    for _ in range(config.schedule.steps):
        trainer.step()
    return trainer, found


def test_a_noisy_torus_far_from_zero_is_meshed_with_its_hole():
    """PTS-3: without normals, with outliers, in the cloud's frame."""
    generator = np.random.default_rng(0)
    noise = 0.01
    points = point_clouds.torus(6000, generator).points + noise * generator.normal(size=(6000, 3))
    points = np.concatenate([points, 2 * generator.random((150, 3)) - 1])
    far = np.array([5e5, 5.4e6, 300.0])
    trainer, found = fitted(Cloud(points + far))
    mesh, report = mesh_of(trainer, found, resolution=64)
    assert report.topology.closed and report.topology.bodies == 1 and report.topology.handles == 1
    assert np.abs(point_clouds.torus_distance(mesh.vertices - far)).mean() < noise
    assert report.coincident == 0


def test_a_ball_with_a_hole_in_its_scan_is_closed():
    """PTS-3: the lattice's distance holds where there are no points."""
    ball = point_clouds.sphere(8000, np.random.default_rng(0))
    trainer, found = fitted(ball[ball.points[:, 2] < 0.8])
    mesh, report = mesh_of(trainer, found, resolution=64)
    assert report.topology.closed and report.topology.bodies == 1
    assert np.linalg.norm(mesh.vertices, axis=1).max() < 1.1
    assert mesh.vertices[:, 2].max() > 0.75


def test_two_bodies_are_two_and_stray_points_are_none():
    generator = np.random.default_rng(0)
    balls = [point_clouds.sphere(3000, generator, 0.4).points + np.array([x, 0, 0]) for x in (-0.5, 0.5)]
    trainer, found = fitted(Cloud(np.concatenate([*balls, generator.random((50, 3)) - 0.5])))
    _, report = mesh_of(trainer, found, resolution=48)
    assert report.topology.closed and report.topology.bodies == 2 and report.topology.handles == 0


def test_bodies_need_points():
    """PTS-3."""
    inside = np.zeros((20, 20, 20), bool)
    inside[2:8, 2:8, 2:8] = inside[14, 14, 14] = True
    kept, bodies = supported(inside, (np.full(9, 8), np.full(9, 5), np.arange(9)))
    assert bodies == 1 and kept.sum() == 6**3
    with pytest.raises(BadInput, match="without an inside"):
        supported(inside, (np.full(9, 18), np.full(9, 5), np.arange(9)))


def test_colours_are_those_of_the_nearest_points():
    ball = point_clouds.sphere(4000, np.random.default_rng(0))
    red = ball.points[:, 0] > 0
    colours = np.where(red[:, None], np.array([250, 10, 20], np.uint8), np.array([0, 90, 0], np.uint8))
    mesh, _ = mesh_of(*fitted(Cloud(ball.points, ball.normals, colours)), resolution=32)
    assert mesh.colours is not None
    assert (mesh.colours[mesh.vertices[:, 0] > 0.2] == [250, 10, 20]).all()
    assert (mesh.colours[mesh.vertices[:, 0] < -0.2] == [0, 90, 0]).all()


def test_the_grid_is_as_fine_as_the_cloud():
    """PTS-3."""
    config = make_points_config("fast", [])
    assert geometry_for(config, 0.01).finest == pytest.approx(2 / 0.015, abs=1)
    assert geometry_for(config, 1e-6).finest == config.geometry.finest
    assert geometry_for(config, 1.0).finest == config.geometry.coarsest


def test_signed_steps_count_cells():
    inside = np.zeros((32, 32, 32), bool)
    inside[:16] = True
    steps = signed_steps(inside)
    np.testing.assert_allclose(steps[12:20, 16, 16], np.arange(-3.5, 4), atol=0.2)


def test_seeds_settle_everything():
    cloud = point_clouds.torus(1000, np.random.default_rng(0))
    places = torch.rand(100, 3, generator=torch.Generator().manual_seed(0)).to(runtime.current().device)
    first, second = (fitted(cloud)[0].sdf()(places) for _ in range(2))
    assert torch.equal(first, second)
