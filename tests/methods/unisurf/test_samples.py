"""UNI-4 and UNI-5: how wide the interval about the surface is, and where a ray's samples lie."""

from __future__ import annotations

import pytest
import torch
from scenes import lines

from taichi_idr import runtime
from taichi_idr.methods.unisurf.samples import half_width, sample_depths
from taichi_idr.methods.unisurf.settings import IntervalConfig
from taichi_idr.types import Hits, HitStatus

STEPS, RATE = 400_000, 1.5e-5  # as published


def test_uni_4_the_interval_shrinks_as_published():
    """UNI-4: max(2 exp(-1.5e-5 k), 0.1), which has its least width from step 199,715 on."""
    config = IntervalConfig()
    for step in (0, 1, 50_000, 199_714):
        published = 2 * torch.tensor(-RATE * step, dtype=torch.float64).exp().item()
        assert half_width(config, step / STEPS) == pytest.approx(published)
        assert published > 0.1
    assert half_width(config, 199_716 / STEPS) == half_width(config, 1.0) == 0.1


def test_uni_5_samples_lie_about_the_surface_and_before_it(generator):
    """UNI-5: without a surface all over the ray, stratified; and never outside of the sphere."""
    now = runtime.current()
    depth = torch.tensor([3.0, 1.2, 4.9, 0.0], device=now.device)
    status = torch.tensor([HitStatus.BRACKETED] * 3 + [HitStatus.MISSED], dtype=torch.int32, device=now.device)
    ends = (torch.ones_like(depth), torch.full_like(depth, 5.0), torch.ones_like(depth, dtype=torch.bool))
    place = torch.rand(4, 96, generator=generator).to(depth)
    depths = sample_depths(ends, Hits(depth, depth, status), 0.5, 32, place)
    assert (depths.diff(dim=1) >= 0).all() and depths.min() >= 1 and depths.max() <= 5
    before, about = depths[:3, :32], depths[:3, 32:]
    begin, end = torch.tensor([2.5, 1.0, 4.4]).to(depth), torch.tensor([3.5, 1.7, 5.0]).to(depth)
    assert (before <= begin[:, None]).all()
    for samples, low, high in ((before, torch.ones_like(begin), begin), (about, begin, end)):
        count = samples.shape[1]
        part = (samples - low[:, None]) / ((high - low) / count)[:, None].clamp(min=1e-9)
        inside = (part[high > low] - torch.arange(count, device=part.device)).clamp(-1, 2)
        assert (inside > -0.01).all() and (inside < 1.01).all()
    part = (depths[3] - 1) / (4 / 96) - torch.arange(96, device=depth.device)
    assert (part > -0.01).all() and (part < 1.01).all()


def test_a_ray_that_meets_nothing_has_its_samples_in_one_place():
    rays = lines(torch.tensor([[0.0, 9.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
    none = torch.zeros(1, device=rays.origins.device)
    hits = Hits(none, none, none.int())
    depths = sample_depths((none, none, none.bool()), hits, 2.0, 2, none.new_full((1, 6), 0.5))
    assert depths.tolist() == [[0.0] * 6]
