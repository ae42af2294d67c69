"""Lemma 1, as the reference's formula and as the kernel: against tracing anew, and against differentiated tracing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scenes import rays_towards
from torch import Tensor
from torch.nn.functional import normalize

from taichi_idr import runtime
from taichi_idr.config import LossConfig
from taichi_idr.ops import intersection
from taichi_idr.reference import idr_step
from taichi_idr.reference.analytic_sdf import sphere, torus
from taichi_idr.reference.sphere_bounds import sphere_bounds

GRAZING = LossConfig().grazing

STEP = 1e-6
DIFFERENCES = 3e-8  # measured: 1.2e-8, relative error of central differences at |n.v| > 0.3
UNROLLED = 1e-13  # measured: 2e-15

SURFACES = {"sphere": (sphere, [0.6]), "torus": (torus, [0.5, 0.25])}


class Surface:
    """Rays that meet an analytic surface away from its silhouette; everything in float64 on the CPU."""

    def __init__(self, name: str, generator: torch.Generator) -> None:
        shape, theta = SURFACES[name]
        self.shape: Callable[..., Tensor] = shape
        self.theta = torch.tensor(theta, dtype=torch.float64)
        rays = rays_towards(60, generator, spread=0.2)
        c, v = rays.origins.cpu(), rays.directions.cpu()
        depth = self.traced_depth(self.theta, c, v)
        cosine = (self.normal(c + depth[:, None] * v) * v).sum(dim=1)
        kept = (self.shape(c + depth[:, None] * v, *self.theta).abs() < 1e-12) & (cosine < -0.3)
        self.c, self.v = c[kept], v[kept]
        assert len(self.c) > 15

    def traced_depth(self, theta: Tensor, c: Tensor, v: Tensor, steps: int = 150) -> Tensor:
        """Sphere tracing, step by step, with whatever graph its arguments carry."""
        t = sphere_bounds(c, v, 1.0)[0]
        for _ in range(steps):
            t = t + self.shape(c + t[:, None] * v, *theta)
        return t

    def normal(self, points: Tensor) -> Tensor:
        points = points.detach().requires_grad_()
        return torch.autograd.grad(self.shape(points, *self.theta).sum(), points)[0]

    def traced(self, theta: Tensor, c: Tensor, v: Tensor) -> Tensor:
        return c + self.traced_depth(theta, c, v)[:, None] * v

    def by_reference(self, theta: Tensor, c: Tensor, v: Tensor) -> Tensor:
        """Lemma 1 with f attached to the ray (reference/idr_step.py)."""
        depth = self.traced_depth(theta, c, v).detach()
        attached = c + depth[:, None] * v
        f = self.shape(attached, *theta)
        return idr_step.lemma_1(c, v, depth, f, self.normal(attached), 0.05)[0]

    def by_kernel(self, theta: Tensor, c: Tensor, v: Tensor) -> Tensor:
        """Lemma 1 with f at the detached point and total derivatives (ops/intersection.py)."""
        depth = self.traced_depth(theta, c, v).detach()
        fixed = (c + depth[:, None] * v).detach()
        device = runtime.current().device
        inputs = (c, v, depth, self.shape(fixed, *theta), self.normal(fixed))
        return intersection.surface_points(*(x.to(device) for x in inputs), grazing=GRAZING)[0].cpu()


@pytest.fixture(params=SURFACES)
def surface(request, generator):
    return Surface(request.param, generator)


def leaves(surface: Surface) -> list[Tensor]:
    return [x.clone().requires_grad_() for x in (surface.theta, surface.c, surface.v)]


@pytest.mark.precision("float64")
@pytest.mark.parametrize("formula", ["by_reference", "by_kernel"])
@pytest.mark.parametrize("moved", [0, 1, 2], ids=["theta", "c", "v"])
def test_lemma_1_against_differences_of_the_retraced_surface(surface, formula, moved, generator):
    """Along a random direction, for a random weight; v stays a unit vector."""

    def arguments(change: Tensor | float) -> list[Tensor]:
        theta, c, v = (x + change if k == moved else x for k, x in enumerate((surface.theta, surface.c, surface.v)))
        return [theta, c, normalize(v, dim=1)]

    start = (surface.theta, surface.c, surface.v)[moved]
    direction = torch.randn(start.shape, generator=generator, dtype=torch.float64)
    weight = torch.randn(surface.c.shape, generator=generator, dtype=torch.float64)
    ends = [surface.traced(*arguments(sign * STEP * direction)) for sign in (1, -1)]
    expected = ((ends[0] - ends[1]) / (2 * STEP) * weight).sum()
    change = torch.zeros_like(start, requires_grad=True)
    points = getattr(surface, formula)(*arguments(change))
    (got,) = torch.autograd.grad((points * weight).sum(), change)
    assert abs((got * direction).sum() - expected) <= DIFFERENCES * (1 + abs(expected))


@pytest.mark.precision("float64")
@pytest.mark.parametrize("formula", ["by_reference", "by_kernel"])
def test_lemma_1_against_differentiating_through_the_steps(surface, formula, generator):
    """150 steps of sphere tracing unrolled: autograd through all of them gives the same theta, c and v."""
    weight = torch.randn(surface.c.shape, generator=generator, dtype=torch.float64)
    results = []
    for f in (surface.traced, getattr(surface, formula)):
        inputs = leaves(surface)
        results.append(torch.autograd.grad((f(*inputs) * weight).sum(), inputs))
    for unrolled, ours in zip(*results, strict=True):
        assert unrolled.abs().max() > 0.1
        torch.testing.assert_close(ours, unrolled, atol=UNROLLED, rtol=UNROLLED)


def test_lemma_1_value_and_clamp():
    """x is the traced point bit for bit; a grazing slope keeps its sign, and zero counts as entering."""
    cosines = torch.tensor([-1.0, 0.5, 0.04, -0.04, 0.0], dtype=torch.float64)
    v = torch.tensor([[0.0, 0, 1]], dtype=torch.float64).repeat(5, 1)
    c, depth = torch.rand(5, 3, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
    n = torch.stack([torch.ones(5), torch.zeros(5), cosines], dim=1)
    f = torch.full((5,), 0.3, dtype=torch.float64, requires_grad=True)
    points, clamped = idr_step.lemma_1(c, v, depth, f, n, 0.05)
    assert torch.equal(points, c + depth[:, None] * v)
    assert clamped == 3
    points[:, 2].sum().backward()
    assert f.grad is not None
    torch.testing.assert_close(f.grad, torch.tensor([1.0, -2, -20, 20, 20], dtype=torch.float64))
