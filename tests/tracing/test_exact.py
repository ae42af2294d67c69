"""The exact tracer: TRACE-1 to TRACE-14."""

from __future__ import annotations

import pytest
import torch
from scenes import MAJOR, MINOR, SHAPES, rays_towards
from torch import Tensor

from taichi_idr.config import TracerConfig
from taichi_idr.reference import trace as reference
from taichi_idr.tracing import exact as tracer
from taichi_idr.tracing.exact import trace
from taichi_idr.types import Hits, HitStatus, Rays

CONFIG = TracerConfig()
DOUBLE = 1e-12  # measured: 3e-15


def steep(points: Tensor) -> Tensor:
    """Twice the distance: every step overshoots, so that the line search works."""
    return 2 * SHAPES["torus"](points)


def shallow(points: Tensor) -> Tensor:
    """A tenth of the distance: ten steps do not arrive, so that the sampler works."""
    return 0.1 * SHAPES["two_spheres"](points)


def curved(points: Tensor) -> Tensor:
    """Far from linear along a ray, and too small to walk on."""
    return 0.02 * ((4 * SHAPES["two_spheres"](points)).exp() - 1)


FIELDS = {name: SHAPES[name] for name in ("torus", "two_spheres", "rounded_box")}
FIELDS |= {"steep": steep, "shallow": shallow}


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def is_object(rays: Rays, generator: torch.Generator) -> Tensor:
    return (torch.rand(len(rays), generator=generator) < 0.5).to(rays.origins.device)


def same(ours: Hits, twin: Hits) -> None:
    assert torch.equal(ours.status.cpu(), twin.status.cpu())
    torch.testing.assert_close(ours.search_depth, twin.search_depth, atol=DOUBLE, rtol=0)
    torch.testing.assert_close(ours.depth[ours.hit], twin.depth[twin.hit], atol=DOUBLE, rtol=0)


@pytest.mark.precision("float64")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_equals_twin(field, training, generator):
    """Every ray ends as the one-ray twin says: status, depth and the point of the mask loss."""
    rays = rays_towards(50, generator, spread=0.45)
    options = {"object_mask": is_object(rays, generator)} if training else {}
    ours = trace(rays, FIELDS[field], CONFIG, **options, generator=seeded())
    same(ours, reference.trace(rays, FIELDS[field], CONFIG, **options, generator=seeded()))
    present = set(ours.status.tolist())
    assert {HitStatus.OUTSIDE, HitStatus.MISSED} < present


@pytest.mark.precision("float64")
def test_trace_10_number_of_iterations_equals_twin(generator):
    """In wide brackets of a curved field, where each iteration still changes the root."""
    rays = rays_towards(50, generator, spread=0.3)
    config = TracerConfig(samples=8, secant_iterations=2)
    ours = trace(rays, curved, config)
    same(ours, reference.trace(rays, curved, config))
    further = trace(rays, curved, config.model_copy(update={"secant_iterations": 3}))
    assert (further.depth - ours.depth)[ours.hit].abs().max() > 1e-4


def dense_first_root(rays: Rays, samples: int = 4000) -> Tensor:
    """Depth (R,) of the first root on the torus by dense sampling and bisection; infinite without one."""
    sdf = SHAPES["torus"]
    depths = torch.linspace(1.4, 3.6, samples, dtype=rays.origins.dtype, device=rays.origins.device)
    values = torch.stack([sdf(rays.at(depth.expand(len(rays)))) for depth in depths], dim=1)
    first = (values < 0).int().argmax(dim=1)
    low, high = depths[(first - 1).clamp(min=0)], depths[first]
    for _ in range(45):
        middle = (low + high) / 2
        inside = sdf(rays.at(middle)) < 0
        low, high = torch.where(inside, low, middle), torch.where(inside, middle, high)
    return torch.where((values < 0).any(dim=1), high, torch.inf)


@pytest.mark.precision("float64")
def test_torus_against_dense_root_finding(generator):
    """TRACE-3: the tracer stops within the tolerance before the first root, never behind it."""
    rays = rays_towards(400, generator, spread=0.4)
    exact = dense_first_root(rays)
    hits = trace(rays, SHAPES["torus"], CONFIG)
    # A ray that passes within the tolerance without meeting the surface counts as a hit for the tracer only.
    assert (hits.hit != exact.isfinite()).float().mean() <= 0.005
    both = hits.hit & exact.isfinite()
    gap = exact[both] - hits.depth[both]
    points = rays.at(exact)[both]
    ring = points[:, :2] * (1 - MAJOR / points[:, :2].norm(dim=1, keepdim=True))
    normal = torch.cat([ring, points[:, 2:]], dim=1) / MINOR
    cosine = -(normal * rays.directions[both]).sum(dim=1)
    frontal = cosine > 0.3
    assert frontal.sum() > 60
    assert gap.min() > -1e-9
    assert (gap * cosine)[frontal].max() < 1.2 * CONFIG.tolerance


@pytest.mark.parametrize("field", SHAPES)
def test_converged_means_within_the_tolerance(field, generator):
    """Truth in single precision; and TRACE-7: hits lie inside the bounding sphere."""
    rays = rays_towards(2000, generator)
    hits = trace(rays, SHAPES[field], CONFIG)
    converged = hits.status == int(HitStatus.CONVERGED)
    points = rays.at(hits.depth)[converged]
    assert converged.sum() > 100
    assert SHAPES[field](points).abs().max() < CONFIG.tolerance + 1e-6
    assert points.norm(dim=1).max() <= CONFIG.radius


def test_sphere_hits_every_ray_that_meets_it(generator):
    rays = rays_towards(2000, generator)
    closest = torch.linalg.cross(rays.origins, rays.directions).norm(dim=1)
    hits = trace(rays, SHAPES["sphere"], CONFIG)
    assert hits.hit[closest < 0.6 - 1e-3].all()
    assert not hits.hit[closest > 0.6 + 1e-3].any()


def test_trace_5_line_search_leaves_the_object(generator):
    """With it, fronts on a field that overshoots converge from outside; without it they end inside."""
    rays = rays_towards(500, generator, spread=0.3)
    without = trace(rays, steep, CONFIG.model_copy(update={"line_search_iterations": 0}))
    searched = trace(rays, steep, CONFIG)
    deepest = [float(steep(rays.at(h.depth))[h.hit].min()) for h in (without, searched)]
    assert deepest[0] < -0.1
    converged = [int((h.status == int(HitStatus.CONVERGED)).sum()) for h in (without, searched)]
    assert converged[1] > converged[0]


def test_trace_8_to_11_the_sampler_finds_what_walking_does_not_reach(generator):
    rays = rays_towards(500, generator, spread=0.3)
    shape, truth = SHAPES["two_spheres"], trace(rays, SHAPES["two_spheres"], CONFIG)
    hits = trace(rays, shallow, CONFIG)
    flips = (hits.hit != truth.hit).float().mean()
    assert flips < 0.01  # measured: none; a chord shorter than the samples' spacing may be lost
    both = hits.hit & truth.hit
    assert both.sum() > 100
    assert shape(rays.at(hits.depth))[both].abs().max() < 10 * CONFIG.tolerance + 1e-6


def test_trace_11_the_mask_never_decides_a_hit(generator):
    rays = rays_towards(500, generator, spread=0.3)
    statuses = [
        trace(rays, shallow, CONFIG, object_mask=torch.full((500,), flag, device=rays.origins.device)).hit
        for flag in (False, True)
    ]
    assert torch.equal(*statuses)


def test_trace_10_background_rays_are_not_refined(generator):
    """TRACE-9: they get the least sample, which lies inside the object; refined ones end on it."""
    rays = rays_towards(500, generator, spread=0.3)
    mask = is_object(rays, generator)
    hits = trace(rays, shallow, CONFIG, object_mask=mask)
    values = shallow(rays.at(hits.depth))
    assert values[hits.hit & mask].abs().median() < CONFIG.tolerance
    assert values[hits.hit & ~mask].median() < -1e-3
    assert (hits.status[hits.hit & ~mask] == int(HitStatus.BRACKETED)).float().mean() > 0.9
    assert torch.equal(hits.search_depth[hits.hit], hits.depth[hits.hit])


def test_trace_13_rays_outside_the_sphere(generator):
    rays = rays_towards(500, generator, spread=2.0)
    hits = trace(rays, SHAPES["torus"], CONFIG, object_mask=is_object(rays, generator))
    outside = hits.status == int(HitStatus.OUTSIDE)
    assert outside.any()
    assert not hits.hit[outside].any()
    closest = -(rays.origins * rays.directions).sum(dim=1)
    torch.testing.assert_close(hits.search_depth[outside], closest[outside])


def test_trace_14_background_pixels_search_behind_their_hit(generator):
    """Into the interior, else f = 0 there and the silhouette never shrinks."""
    rays = rays_towards(500, generator, spread=0.25)
    nothing = torch.zeros(500, dtype=torch.bool, device=rays.origins.device)
    hits = trace(rays, SHAPES["torus"], CONFIG, object_mask=nothing, generator=seeded())
    assert hits.hit.sum() > 100
    assert (hits.search_depth >= hits.depth)[hits.hit].all()
    assert SHAPES["torus"](rays.at(hits.search_depth))[hits.hit].median() < -0.05


def test_trace_14_misses_search_the_whole_chord(generator):
    """On a sphere the least of 100 random samples is the one nearest to the chord's middle: one for all rays."""
    rays = rays_towards(1000, generator, spread=0.5)
    everything = torch.ones(1000, dtype=torch.bool, device=rays.origins.device)
    hits = trace(rays, SHAPES["sphere"], CONFIG, object_mask=everything, generator=seeded())
    closest = -(rays.origins * rays.directions).sum(dim=1)
    gap = rays.at(closest).norm(dim=1)
    missed = (hits.status == int(HitStatus.MISSED)) & (gap > 0.65)  # next to the surface the sampler takes over
    assert missed.sum() > 100
    half_chord = (1 - gap[missed] ** 2).sqrt()
    fraction = ((hits.search_depth - closest)[missed] / half_chord + 1) / 2
    drawn = torch.rand(CONFIG.samples, generator=seeded()).to(fraction)
    expected = drawn[(drawn - 0.5).abs().argmin()]
    torch.testing.assert_close(fraction, expected.expand_as(fraction), atol=1e-4, rtol=0)


def test_object_hits_keep_their_depth_as_search_depth(generator):
    rays = rays_towards(500, generator, spread=0.3)
    mask = is_object(rays, generator)
    hits = trace(rays, SHAPES["torus"], CONFIG, object_mask=mask)
    assert torch.equal(hits.search_depth[hits.hit & mask], hits.depth[hits.hit & mask])


def test_same_seed_same_bits(generator):
    rays = rays_towards(2000, generator)
    mask = is_object(rays, generator)
    first, second, other = (
        trace(rays, shallow, CONFIG, object_mask=mask, generator=seeded(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first.search_depth, second.search_depth)
    assert torch.equal(first.depth, second.depth)
    assert not torch.equal(first.search_depth, other.search_depth)


def test_blocks_do_not_change_the_result(generator, monkeypatch):
    rays = rays_towards(300, generator)
    mask = is_object(rays, generator)
    whole = trace(rays, shallow, CONFIG, object_mask=mask, generator=seeded())
    monkeypatch.setattr(tracer, "RAYS_PER_BLOCK", 7)
    parts = trace(rays, shallow, CONFIG, object_mask=mask, generator=seeded())
    assert torch.equal(whole.status, parts.status)
    assert torch.equal(whole.search_depth, parts.search_depth)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("field", ["torus", "shallow"])
@pytest.mark.parametrize("flag", [None, False, True])
def test_trap_empty_and_one_pixel_batches(count, field, flag, generator):
    rays = rays_towards(count, generator, spread=0.1)
    mask = None if flag is None else torch.full((count,), flag, device=rays.origins.device)
    hits = trace(rays, FIELDS[field], CONFIG, object_mask=mask)
    assert len(hits.depth) == len(hits.search_depth) == len(hits.status) == count
    assert hits.search_depth.isfinite().all()


def test_a_camera_inside_the_sphere_sees_the_surface(runtime):
    """The fronts start at the camera (TRACE-1 clamps near to 0); a ray away from the sphere meets nothing."""
    origins = torch.tensor([[0.0, 0, 0.9], [0, 0, 3.0]], device=runtime.device)
    directions = torch.tensor([[0.0, 0, -1], [0, 0, 1]], device=runtime.device)
    hits = trace(Rays(origins, directions), SHAPES["sphere"], CONFIG)
    assert hits.hit.tolist() == [True, False]
    assert float(hits.depth[0]) == pytest.approx(0.3, abs=1e-4)


def test_no_graph_is_kept(generator):
    radius = torch.tensor(0.6, requires_grad=True)
    rays = rays_towards(20, generator)
    rays.origins.requires_grad_()
    hits = trace(rays, lambda points: points.norm(dim=1) - radius.to(points), CONFIG)
    assert not hits.depth.requires_grad
    assert not hits.search_depth.requires_grad


def test_points_of_settled_rays_are_not_asked_again(generator):
    """The wavefront shrinks: a mean of far fewer questions than fronts x (steps + 1)."""
    rays = rays_towards(1000, generator, spread=0.15)
    asked = 0

    def counting(points: Tensor) -> Tensor:
        nonlocal asked
        asked += len(points)
        return SHAPES["sphere"](points)

    trace(rays, counting, CONFIG)
    assert asked < 0.5 * 2 * 1000 * (CONFIG.sphere_tracing_iterations + 1)


def test_wrong_inputs_are_refused_by_name(generator):
    rays = rays_towards(5, generator)
    with pytest.raises(ValueError, match=r"expected object_mask \(5,\)"):
        trace(rays, SHAPES["torus"], CONFIG, object_mask=torch.ones(4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"expected values \(\d+,\) of the field"):
        trace(rays, lambda points: SHAPES["torus"](points)[:, None], CONFIG)
