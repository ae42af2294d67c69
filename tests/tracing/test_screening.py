"""Asking only the samples that can matter ends every ray where asking all of them does (TRACE-8, 9, 14)."""

from __future__ import annotations

import pytest
import torch
from scenes import SHAPES, rays_towards
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.config import MlpGeometryConfig, TracerConfig
from taichi_idr.fields.mlp_geometry import MlpGeometry
from taichi_idr.kernels.screening import UNKNOWN
from taichi_idr.tracing.exact import trace
from taichi_idr.tracing.screening import needed_samples
from taichi_idr.types import Sdf

CONFIG = TracerConfig()
ROUNDING = 1e-6  # of f: samples nearer to each other in value may stand for one another; measured: 1.2e-7
CREASE = 1e-3  # the same inside a box, where f has kinks; measured: 8.5e-4 on 1 ray in 1000
NARROW = MlpGeometryConfig(width=64, hidden_layers=5, skip_layer=3, features=4)


class Counted:
    def __init__(self, sdf: Sdf) -> None:
        self.sdf, self.queries = sdf, 0

    def __call__(self, points: Tensor) -> Tensor:
        self.queries += len(points)
        return self.sdf(points)


def network(seed: int, roughness: float) -> Sdf:
    """The starting ball of preset idr, dented by noise on every weight."""
    generator, device = torch.Generator().manual_seed(seed), runtime.current().device
    geometry = MlpGeometry(NARROW, device, generator, runtime.current().dtype)
    with torch.no_grad():
        for parameter in geometry.parameters():
            noise = torch.randn(parameter.shape, generator=generator).to(parameter)
            parameter += roughness * parameter.abs().mean() * noise
    return geometry.frozen()


def wavy(points: Tensor) -> Tensor:
    return SHAPES["torus"](points) + 0.03 * (15 * points).sin().sum(dim=1)


FIELDS = {f"network{seed}": network_of for seed, network_of in enumerate([0.0, 0.1, 0.3])}


def field(name: str) -> Sdf:
    if name in FIELDS:
        return network(3, FIELDS[name])
    return {"wavy": wavy, "shallow": lambda points: 0.1 * SHAPES["two_spheres"](points)}.get(name) or SHAPES[name]


@pytest.mark.parametrize("name", [*FIELDS, "wavy", "shallow", "torus", "two_spheres", "rounded_box"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_every_ray_ends_at_the_same_sample(name, training, generator):
    """TRACE-8, TRACE-9, TRACE-14, and at most half of the questions."""
    rays = rays_towards(600, generator, spread=0.45)
    is_object = (torch.rand(600, generator=generator) < 0.4).to(rays.origins.device)
    sdf, hits, queries = field(name), [], []
    for screened in (False, True):
        counted, draws = Counted(sdf), torch.Generator().manual_seed(1)
        mask = is_object if training else None
        hits.append(trace(rays, counted, CONFIG, object_mask=mask, generator=draws, screened=screened))
        queries.append(counted.queries)
    assert torch.equal(hits[0].status, hits[1].status)
    for depth in ("depth", "search_depth"):
        ends = [sdf(rays.at(getattr(found, depth))) for found in hits]
        torch.testing.assert_close(ends[1], ends[0], atol=CREASE if name == "rounded_box" else ROUNDING, rtol=0)
    torch.testing.assert_close(hits[1].depth[hits[1].hit], hits[0].depth[hits[0].hit], atol=1e-5, rtol=0)
    assert queries[1] < (0.5 if training else 0.8) * queries[0]


def asked_along(values: Tensor, rooted: bool) -> tuple[Tensor, list[int]]:
    """What is known at the end, and the samples asked, of one ray with K samples on [0, 1] and known ends."""
    depths = torch.linspace(0, 1, values.shape[0])[None]
    walked = (torch.tensor([[0.0, 1.0]]), values[[0, -1]][None])
    asked: list[int] = []

    def ask(indices: Tensor) -> Tensor:
        asked.extend(indices.tolist())
        return values[indices.long()]

    return needed_samples(depths, walked, torch.tensor([rooted]), ask)[0], asked


@pytest.mark.parametrize("least", [0.1, 0.5, 0.83])
def test_a_valley_needs_few_questions(least):
    values = (torch.linspace(0, 1, 101) - least).abs() + 0.2
    known, asked = asked_along(values, rooted=False)
    assert known.argmin() == values.argmin()
    assert len(asked) == len(set(asked)) < 25


def test_the_first_root_is_found_and_its_predecessor_known():
    """Two dips below zero: the nearer one counts, though the farther is deeper."""
    t = torch.linspace(0, 1, 101)
    values = torch.minimum((t - 0.3).abs() - 0.02, (t - 0.7).abs() - 0.1)
    first = int((values < 0).nonzero()[0])
    known, asked = asked_along(values, rooted=True)
    assert (known < 0).nonzero()[0] == first
    assert known[first - 1] == values[first - 1]
    assert len(asked) < 40


def test_without_a_root_the_least_is_found():
    values = (torch.linspace(0, 1, 101) - 0.41) ** 2 + 1e-3
    known, _ = asked_along(values, rooted=True)
    assert known.argmin() == values.argmin()


def test_a_steeper_place_reopens_what_seemed_settled():
    """Level at both ends, with a pit in between that only its own slope can announce."""
    t = torch.linspace(0, 1, 101)
    values = torch.minimum(1 - 0.2 * t, 6 * (t - 0.5).abs() + 0.2)
    known, _ = asked_along(values, rooted=False)
    assert known.argmin() == values.argmin()


def test_what_is_not_asked_is_above_every_distance():
    values = (torch.linspace(0, 1, 101) - 0.5).abs() + 0.2
    known, asked = asked_along(values, rooted=False)
    left_out = torch.ones(101, dtype=torch.bool)
    left_out[asked] = False
    assert left_out.any()
    assert (known[left_out] >= 0.99 * UNKNOWN).all()


def test_a_broken_field_ends_the_search():
    values = torch.full((20,), torch.nan)
    _, asked = asked_along(values, rooted=False)
    assert len(asked) <= 20
