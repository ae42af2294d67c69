"""The differentiable intersection: Lemma 1."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scenes import cameras, rays_towards
from torch import Tensor
from torch.nn.functional import normalize

from taichi_idr.config import LossConfig, TracerConfig
from taichi_idr.ops.intersection import surface_points
from taichi_idr.ops.raygen import generate_rays
from taichi_idr.reference import intersection as reference
from taichi_idr.reference.analytic_sdf import sphere, torus
from taichi_idr.tracing.exact import trace
from taichi_idr.types import Rays

GRAZING = LossConfig().grazing

RAYS = 300
DOUBLE = 1e-12
POLISHED = TracerConfig(tolerance=1e-13, sphere_tracing_iterations=400, samples=400)
STEP = 1e-6
DIFFERENCES = 1e-8  # measured: 5e-10, relative error of central differences at |n.v| > 0.3


def batch(generator: torch.Generator, rays: int = RAYS) -> tuple[Tensor, ...]:
    lines = rays_towards(rays, generator)
    depth, value = torch.rand(2, rays, generator=generator, dtype=torch.float64).to(lines.origins)
    normal = torch.randn(rays, 3, generator=generator, dtype=torch.float64).to(lines.origins)
    return lines.origins, lines.directions, depth + 1, value - 0.5, normal


def leaves_of(inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    origins, directions, _, value, _ = inputs
    return origins.requires_grad_(), directions.requires_grad_(), value.requires_grad_()


def test_value_is_the_traced_point_bit_for_bit(generator):
    """Whatever f is: the formula has f - stop f."""
    inputs = batch(generator)
    points, _ = surface_points(*inputs, grazing=GRAZING)
    assert torch.equal(points, Rays(*inputs[:2]).at(inputs[2]))
    torch.testing.assert_close(points, reference.surface_points(*inputs, grazing=GRAZING)[0], atol=1e-6, rtol=0)


@pytest.mark.precision("float64")
@pytest.mark.parametrize("grazing", [1e-6, GRAZING, 0.5])
def test_gradient_equals_twin(generator, grazing):
    inputs = batch(generator)
    leaves = leaves_of(inputs)
    weight = torch.randn(RAYS, 3, generator=generator, dtype=torch.float64).to(leaves[0].device)
    results = [f(*inputs, grazing=grazing) for f in (surface_points, reference.surface_points)]
    ours, twin = (torch.autograd.grad((points * weight).sum(), leaves) for points, _ in results)
    assert int(results[0][1]) == int(results[1][1])
    for mine, theirs in zip(ours, twin, strict=True):
        torch.testing.assert_close(mine, theirs, atol=DOUBLE, rtol=DOUBLE)


def test_bridge_laws(generator):
    """Cotangents stay as they are, the caller's tensors get no .grad, and two uses of the output add up."""
    inputs = batch(generator)
    leaves = leaves_of(inputs)
    points, _ = surface_points(*inputs, grazing=GRAZING)
    cotangent = torch.randn_like(points)
    kept = cotangent.clone()
    once = torch.autograd.grad(points, leaves, cotangent, retain_graph=True)
    twice = torch.autograd.grad((points * cotangent).sum() + (points * cotangent).sum(), leaves)
    assert torch.equal(cotangent, kept)
    assert all(tensor.grad is None for tensor in inputs)
    for single, double in zip(once, twice, strict=True):
        torch.testing.assert_close(double, 2 * single)


def test_grazing_rays_are_clamped_and_counted(runtime):
    """The sign of n.v is kept; zero counts as entering. The clamped slope of the depth is -1 / (+-0.05)."""
    cosines = torch.tensor([-1.0, 0.5, 0.04, -0.04, 0.0], device=runtime.device)
    count = len(cosines)
    directions = torch.tensor([[0.0, 0, 1]], device=runtime.device).repeat(count, 1)
    normal = torch.stack([torch.ones_like(cosines), torch.zeros_like(cosines), cosines], dim=1)
    value = torch.zeros(count, device=runtime.device, requires_grad=True)
    depth = torch.ones_like(value).detach()
    points, clamped = surface_points(torch.zeros_like(directions), directions, depth, value, normal, grazing=GRAZING)
    points[:, 2].sum().backward()
    assert int(clamped) == 3
    assert value.grad is not None
    expected = torch.tensor([1.0, -2, -20, 20, 20], device=runtime.device)
    torch.testing.assert_close(value.grad, expected)


def test_truth_the_point_moves_along_the_tangent_plane(generator):
    """A moving camera keeps the point on the plane: n . dx = 0 for every dc, dv (f fixed)."""
    inputs = batch(generator)
    leaves = leaves_of(inputs)
    points, _ = surface_points(*inputs, grazing=1e-9)
    along_normal = torch.autograd.grad((points * inputs[4]).sum(), leaves[:2])
    scale = inputs[4].norm(dim=1, keepdim=True)
    for gradient in along_normal:
        # The cancellation is relative to n / (n.v), which has no bound near grazing.
        cosine = (normalize(inputs[4]) * inputs[1]).sum(dim=1, keepdim=True).abs()
        assert (gradient / scale * cosine).abs().max() < 1e-5


class Scene:
    """Rays that meet a surface well away from its silhouette, re-traced to 1e-13."""

    def __init__(self, shape: Callable[..., Tensor], parameters: Tensor, generator: torch.Generator) -> None:
        self.shape, self.parameters = shape, parameters
        rays = rays_towards(60, generator, spread=0.2)
        hits = trace(rays, self.sdf(parameters), POLISHED)
        cosine = (self.normal(rays.at(hits.depth), parameters) * rays.directions).sum(dim=1)
        self.rays = rays[hits.hit & (cosine < -0.3)]
        assert len(self.rays) > 15

    def sdf(self, parameters: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda points: self.shape(points, *parameters)

    def normal(self, points: Tensor, parameters: Tensor) -> Tensor:
        points = points.detach().requires_grad_()
        (normal,) = torch.autograd.grad(self.sdf(parameters.detach())(points).sum(), points)
        return normal

    def traced(self, rays: Rays, parameters: Tensor) -> Tensor:
        """The surface point found anew: the truth whose differences Lemma 1 must give."""
        return rays.at(trace(rays, self.sdf(parameters), POLISHED).depth)

    def attached(self, rays: Rays, parameters: Tensor) -> Tensor:
        """The surface point through Lemma 1."""
        detached = Rays(rays.origins.detach(), rays.directions.detach())
        depth = trace(detached, self.sdf(parameters.detach()), POLISHED).depth
        start = detached.at(depth)
        value = self.sdf(parameters)(start)
        normal = self.normal(start, parameters)
        points, clamped = surface_points(rays.origins, rays.directions, depth, value, normal, grazing=GRAZING)
        assert int(clamped) == 0
        return points


SCENES = {"sphere": (sphere, [0.6]), "torus": (torus, [0.5, 0.25])}


@pytest.fixture(params=SCENES)
def scene(request, generator, runtime):
    shape, parameters = SCENES[request.param]
    return Scene(shape, torch.tensor(parameters, device=runtime.device, dtype=runtime.dtype), generator)


def central_difference(f: Callable[[Tensor], Tensor], at: Tensor, direction: Tensor) -> Tensor:
    return (f(at + STEP * direction) - f(at - STEP * direction)) / (2 * STEP)


def assert_derivative(f: Callable[[Tensor], Tensor], truth: Callable[[Tensor], Tensor], at: Tensor) -> None:
    """Along a random direction, for a random weight: autograd through f against differences of `truth`."""
    generator = torch.Generator().manual_seed(1)
    at = at.detach().requires_grad_()
    value = f(at)
    weight = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value)
    direction = torch.randn(at.shape, generator=generator, dtype=torch.float64).to(value)
    (gradient,) = torch.autograd.grad((value * weight).sum(), at)
    expected = (central_difference(truth, at.detach(), direction) * weight).sum()
    got = (gradient * direction).sum()
    assert abs(got - expected) <= DIFFERENCES * (1 + abs(expected))


@pytest.mark.precision("float64")
def test_lemma_1_parameters(scene):
    """dx/d(radius, offset) against re-tracing the changed surface."""
    rays = scene.rays
    assert_derivative(lambda p: scene.attached(rays, p), lambda p: scene.traced(rays, p), scene.parameters)


@pytest.mark.precision("float64")
def test_lemma_1_centres(scene):
    directions, fixed = scene.rays.directions, scene.parameters
    assert_derivative(
        lambda c: scene.attached(Rays(c, directions), fixed),
        lambda c: scene.traced(Rays(c, directions), fixed),
        scene.rays.origins,
    )


@pytest.mark.precision("float64")
def test_lemma_1_directions(scene):
    origins, fixed = scene.rays.origins, scene.parameters
    assert_derivative(
        lambda v: scene.attached(Rays(origins, normalize(v, dim=1)), fixed),
        lambda v: scene.traced(Rays(origins, normalize(v, dim=1)), fixed),
        scene.rays.directions,
    )


@pytest.mark.precision("float64")
@pytest.mark.parametrize("moved", ["quaternion", "centre"])
def test_lemma_1_from_camera_parameters_to_the_surface(moved, generator, runtime):
    """The whole chain: a turned or shifted camera, its rays, the point on the sphere, against re-tracing."""
    scene = Scene(sphere, torch.tensor([0.6], device=runtime.device, dtype=runtime.dtype), generator)
    quaternions, _, inverse = cameras(1, generator)
    start = {"quaternion": quaternions, "centre": toward_origin(quaternions)}
    pixels = torch.tensor([[160.0, 119.0], [170, 125], [150, 100]], device=runtime.device, dtype=runtime.dtype)
    view = torch.zeros(3, dtype=torch.int32, device=runtime.device)

    def rays(parameter: Tensor) -> Rays:
        pose = {**start, moved: parameter}
        return Rays(*generate_rays(pose["quaternion"], pose["centre"], inverse, view, pixels))

    assert_derivative(
        lambda p: scene.attached(rays(p), scene.parameters),
        lambda p: scene.traced(rays(p), scene.parameters),
        start[moved],
    )


def toward_origin(quaternions: Tensor) -> Tensor:
    """Centre (1, 3) of a camera that looks at the origin from 2.5 away."""
    from taichi_idr.reference.raygen import rotation_matrices

    return -2.5 * rotation_matrices(quaternions)[:, :, 2]


def test_empty_batch_and_wrong_shapes(runtime):
    empty = torch.empty(0, 3, device=runtime.device)
    none = torch.empty(0, device=runtime.device, requires_grad=True)
    points, clamped = surface_points(empty, empty, none.detach(), none, empty, grazing=GRAZING)
    points.sum().backward()
    assert points.shape == (0, 3)
    assert int(clamped) == 0
    with pytest.raises(ValueError, match=r"expected normal \(0, 3\)"):
        surface_points(empty, empty, none.detach(), none, empty[:, :2], grazing=GRAZING)
