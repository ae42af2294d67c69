"""Presets `igr` and `sal` at small size: PTS-1 and PTS-2."""

from __future__ import annotations

import numpy as np
import point_clouds
import pytest
import torch

from taichi_idr import runtime
from taichi_idr.clouds.cloud import Cloud
from taichi_idr.methods.points.prepared import neighbour_distance, prepared
from taichi_idr.methods.points.published import PublishedTrainer
from taichi_idr.methods.points.settings import PRESETS, make_points_config
from taichi_idr.methods.points.terms import normal_term, surface_term, unsigned_term

SMALL = ["geometry.width=64", "geometry.hidden_layers=4", "samples.surface=512"]
SKIP = {"igr": ["geometry.skip_layer=2"], "sal": []}
STEPS = {"igr": 300, "sal": 400}
RADIUS = 0.8  # of the cloud in its frame
ERROR = 0.03  # normalised units, in the mean over a sphere


def trained(preset: str, cloud: Cloud) -> PublishedTrainer:
    config = make_points_config(preset, [*SMALL, *SKIP[preset]], schedule={"rate": 2e-3})
    trainer = PublishedTrainer(config, prepared(cloud, config.cloud), runtime.current().device)
    for _ in range(STEPS[preset]):
        trainer.step()
    return trainer


@pytest.mark.parametrize("preset", ["igr", "sal"])
@pytest.mark.parametrize("normals", [True, False])
def test_a_sphere_is_found_with_its_inside(preset, normals):
    """PTS-1 and PTS-2, from a ball of another radius."""
    ball = point_clouds.sphere(2000, np.random.default_rng(0), 30.0)
    trainer = trained(preset, ball if normals else Cloud(ball.points))
    directions = torch.from_numpy(ball.points / 30).float().to(runtime.current().device)
    sdf = trainer.sdf()
    assert sdf(RADIUS * directions).abs().mean() < ERROR
    assert (sdf(0.6 * directions) < 0).all() and (sdf(0.95 * directions) > 0).all()


def test_published_sizes():
    """PTS-1 and PTS-2, against the released settings."""
    igr, sal = PRESETS["igr"], PRESETS["sal"]
    assert (igr.geometry.width, igr.geometry.hidden_layers, igr.geometry.skip_layer) == (512, 8, 4)
    assert (igr.geometry.position_frequencies, igr.geometry.initial_bias) == (0, 1.0)
    assert (igr.samples.surface, igr.samples.elsewhere, igr.samples.reach) == (16384, 1 / 8, 1.8)
    assert (igr.loss.surface_weight, igr.loss.eikonal_weight, igr.loss.normal_weight) == (1, 0.1, 1)
    assert (sal.geometry.skip_layer, sal.samples.elsewhere, sal.samples.reach, sal.schedule.rate) == (0, 1, 1, 5e-4)


def test_the_rate_halves_every_2000_steps():
    """PTS-1."""
    cloud = point_clouds.sphere(100, np.random.default_rng(0))
    config = make_points_config("igr", [*SMALL, *SKIP["igr"]])
    trainer = PublishedTrainer(config, prepared(cloud, config.cloud), runtime.current().device)
    rates = []
    for trainer.steps_done in (0, 1999, 2000, 4000):
        rates.append(trainer.rate)
    assert rates == [5e-3, 5e-3, 2.5e-3, 1.25e-3]


def test_points_beside_the_surface_are_as_far_as_the_fiftieth_neighbour():
    """PTS-1: in the mean over a normal distribution in three dimensions its deviation times 1.6, and some anywhere."""
    cloud = point_clouds.sphere(4000, np.random.default_rng(0))
    config = make_points_config("igr", [*SMALL, *SKIP["igr"]])
    trainer = PublishedTrainer(config, prepared(cloud, config.cloud), runtime.current().device)
    count = len(trainer.points)
    off = trainer.off_surface(torch.arange(count))
    assert len(off) == count + round(count / 8)
    offset = (off[:count] - trainer.points).norm(dim=1) / trainer.deviation
    assert offset.mean() == pytest.approx(2 * (2 / np.pi) ** 0.5, rel=0.05)
    assert off[count:].abs().max() <= 1.8


def test_neighbour_distance_counts_neighbours():
    line = np.arange(100.0)[:, None] * [1, 0, 0]
    found = neighbour_distance(line, 4)
    assert found[50] == 2 and found[0] == 4
    assert neighbour_distance(line[:3], 50)[0] == 2


def test_terms_are_their_formulas():
    """PTS-1 and PTS-2."""
    sdf, distance = torch.tensor([-1.0, 0.5]), torch.tensor([0.75, 1.0])
    assert surface_term(sdf).item() == 0.75
    assert unsigned_term(sdf, distance).item() == pytest.approx((0.25 + 0.5) / 2)
    gradient, normals = torch.tensor([[3.0, 0, 0], [0, 1, 0]]), torch.tensor([[0, 4.0, 0], [0, 1, 0]])
    assert normal_term(gradient, normals).item() == pytest.approx(2.5)
