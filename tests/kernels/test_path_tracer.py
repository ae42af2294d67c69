"""The ewer and its photos: against a torch twin, closed forms and laws of light."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from taichi_idr import runtime as rt
from taichi_idr.capture import synthetic
from taichi_idr.kernels import ewer, path_tracer
from taichi_idr.reference import ewer as twin

DARK = [[0.0] * 7]
WHITE_SKY = [[1.0] * 3] * 3
FURNACE_NOISE = 0.01  # measured: 0.002 at 16 samples and 24 bounces
BACKDROP = 1.0
BLEND = 0.08  # the widest smooth union: a part without its ornaments still bends what is nearer by less than this


def tensor(values: object) -> Tensor:
    running = rt.current()
    return torch.as_tensor(values, dtype=running.dtype, device=running.device).contiguous()


@pytest.fixture
def double(runtime: rt.Runtime) -> None:
    """For tests in double precision."""
    if runtime.arch == "vulkan":
        pytest.skip("SPIR-V has no atan2 and no cos in double precision")


def distance(points: Tensor) -> Tensor:
    value = points.new_empty(len(points))
    rt.launch(ewer.ewer_distance, points, value)
    return value


def surface(points: Tensor, palette: Tensor) -> tuple[Tensor, Tensor]:
    normals, colours = torch.empty_like(points), torch.empty_like(points)
    rt.launch(ewer.ewer_surface, points, palette, normals, colours)
    return normals, colours


def box_points(generator: torch.Generator, count: int = 4000) -> Tensor:
    return tensor(torch.rand(count, 3, generator=generator, dtype=torch.float64) * 1.8 - 0.9)


def camera(resolution: int, elevation: float = 30.0) -> Tensor:
    """Rows of R K^-1, then the centre: a camera that looks at the origin from +y."""
    angle = math.radians(elevation)
    centre = torch.tensor([0.0, math.cos(angle), math.sin(angle)], dtype=torch.float64) * 3.2
    z = -centre / centre.norm()
    x = torch.tensor([-1.0, 0.0, 0.0], dtype=torch.float64)
    axes = torch.stack([x, torch.linalg.cross(z, x), z], dim=1)
    middle = (resolution - 1) / 2
    to_ray = torch.tensor(
        [[1 / 1.6, 0, -middle / 1.6], [0, 1 / 1.6, -middle / 1.6], [0, 0, resolution]], dtype=torch.float64
    )
    return tensor(torch.vstack([axes @ (to_ray / resolution), centre]))


def pixels(resolution: int) -> Tensor:
    v, u = torch.meshgrid(torch.arange(resolution), torch.arange(resolution), indexing="ij")
    return tensor(torch.stack([u.flatten(), v.flatten()], dim=1))


def photo(
    where: Tensor,
    view: Tensor,
    *,
    lights: object = DARK,
    sky: object = WHITE_SKY,
    palette: object = synthetic._PALETTE,
    coat: tuple[float, float] = (0.0, 10.0),
    samples: int = 8,
    bounces: int = 2,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    radiance, inside = where.new_empty(len(where), 3), where.new_empty(len(where), dtype=torch.int32)
    scene = (tensor(lights), tensor(sky), tensor(palette), tensor(coat))
    rt.launch(path_tracer.photograph, view, where, *scene, samples, bounces, seed, radiance, inside)
    return radiance, inside.bool()


@pytest.mark.precision("float64")
@pytest.mark.usefixtures("double")
def test_the_distance_is_the_twins_where_ornaments_count_and_less_beyond(generator):
    points = box_points(generator, 8000)
    got, expected = distance(points), twin.ewer_distance(points)
    near = expected < ewer.FAR - BLEND
    assert near.sum() > 500
    torch.testing.assert_close(got[near], expected[near], rtol=0, atol=1e-12)
    assert torch.all(got <= expected + 1e-12)


@pytest.mark.precision("float64")
def test_a_step_of_distance_over_slope_never_crosses_the_surface(generator):
    points = box_points(generator, 40000).requires_grad_()
    (gradient,) = torch.autograd.grad(twin.ewer_distance(points).sum(), points)
    outside = twin.ewer_distance(points) > -0.02
    assert gradient[outside].norm(dim=1).max() <= ewer.SLOPE


@pytest.mark.precision("float64")
@pytest.mark.usefixtures("double")
def test_normals_are_the_twins_gradient(generator):
    points = box_points(generator, 20000)
    points = points[twin.ewer_distance(points).abs() < 0.01].requires_grad_()
    (gradient,) = torch.autograd.grad(twin.ewer_distance(points).sum(), points)
    normals, _ = surface(points.detach(), tensor(synthetic._PALETTE))
    cosine = (normals * torch.nn.functional.normalize(gradient, dim=1)).sum(dim=1)
    assert cosine.quantile(0.05) > 1 - 1e-4
    assert (cosine < 0.99).double().mean() < 0.02  # creases of the smooth minimum


def test_reflectance_lies_between_the_colours_of_the_palette(generator):
    _, colours = surface(box_points(generator), tensor(synthetic._PALETTE))
    palette = tensor(synthetic._PALETTE)
    assert torch.all(colours >= palette.amin(dim=0) - 1e-6)
    assert torch.all(colours <= palette.amax(dim=0) + 1e-6)


def test_a_white_ewer_in_a_white_sky_cannot_be_seen():
    radiance, inside = photo(pixels(24), camera(24), palette=[[1.0] * 3] * 6, samples=16, bounces=24)
    assert inside.double().mean() > 0.15
    assert abs(float(radiance[inside].mean()) - 1.0) < FURNACE_NOISE
    torch.testing.assert_close(radiance[~inside], torch.ones_like(radiance[~inside]), rtol=0, atol=0.1)


def test_a_coat_creates_no_light():
    radiance, inside = photo(pixels(24), camera(24), palette=[[1.0] * 3] * 6, coat=(0.05, 60.0), samples=16, bounces=24)
    assert 0.9 < float(radiance[inside].mean()) <= 1.0 + FURNACE_NOISE


def test_a_black_ewer_without_a_coat_is_black_before_the_backdrop():
    radiance, inside = photo(pixels(24), camera(24), palette=[[0.0] * 3] * 6, lights=[[0, 3, 3, 0.5, 9, 9, 9]])
    interior = inside & (radiance.amax(dim=1) < BACKDROP / 16)
    assert interior.sum() > 0.8 * inside.sum()
    assert radiance[interior].abs().max() == 0.0


def test_a_spherical_light_gives_its_closed_form_where_all_of_it_is_seen():
    """E = pi L (r/d)^2 cos for a sphere above the horizon; the diffuse base sends back colour E / pi."""
    view, where = camera(24), tensor([[0.0, 0.0]])
    ray = torch.nn.functional.normalize(view[:3] @ tensor([12.0, 15.0, 1.0]), dim=0)
    view[:3, :2] *= 1e-3  # a pixel so small that its mean is its centre
    view[:3, 2] = ray
    centre, radius, power = torch.tensor([0.3, 3.0, 1.2]), 0.5, 10.0
    lights = [[*centre.tolist(), radius, power, power, power]]
    grey, night = [[0.5] * 3] * 6, [[0.0] * 3] * 3
    radiance, inside = photo(where, view, lights=lights, sky=night, palette=grey, samples=256, bounces=0)
    assert inside.all()
    depth = 0.0
    for _ in range(200):
        depth += float(distance((view[3] + depth * ray)[None])) / ewer.SLOPE
    hit = view[3] + depth * ray
    normals, colours = surface(hit[None], tensor(grey))
    towards = centre.to(hit) - hit
    expected = colours[0] * power * (radius / towards.norm()) ** 2 * (normals[0] @ towards / towards.norm())
    torch.testing.assert_close(radiance[0], expected, rtol=0.01, atol=0)


def test_a_picture_depends_on_the_seed_and_not_on_the_order(generator):
    where = pixels(16)
    order = torch.randperm(len(where), generator=generator)
    once, _ = photo(where, camera(16))
    shuffled, _ = photo(where[order].contiguous(), camera(16))
    other, _ = photo(where, camera(16), seed=1)
    assert torch.equal(once[order], shuffled)
    assert not torch.equal(once, other)


def test_silhouettes_agree_with_a_dense_search_along_the_ray():
    view, where = camera(24), pixels(24)
    _, inside = photo(where, view, samples=1, bounces=0)
    rays = torch.nn.functional.normalize(torch.cat([where, where.new_ones(len(where), 1)], dim=1) @ view[:3].T, dim=1)
    depths = torch.linspace(2.2, 4.2, 1500).to(where)
    least = torch.stack([distance((view[3] + t * rays).contiguous()) for t in depths]).amin(dim=0)
    clear = least.abs() > 2e-3
    assert torch.equal(inside[clear], least[clear] < 0)
    assert (~clear).sum() < 12
