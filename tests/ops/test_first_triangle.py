"""Where rays first meet a mesh: kernel against twin, twin against cases worked out by hand."""

from __future__ import annotations

import pytest
import torch

from taichi_idr.ops.first_triangle import first_triangle
from taichi_idr.ops.triangle_tree import TriangleTree
from taichi_idr.reference import first_triangle as reference
from taichi_idr.types import Rays

SINGLE = 5e-5  # measured 9e-6, on needles seen edge-on: float32 at coordinates of order 1
FLIPPED = 0.004  # share of rays that pass an edge within rounding; measured 0.0005


def scattered(count: int, size: float, generator: torch.Generator) -> torch.Tensor:
    """Triangles of all sizes below `size`, some of them needles."""
    scale = size * torch.rand(count, 1, 1, generator=generator) ** 4
    centres = torch.rand(count, 1, 3, generator=generator) * 2 - 1
    return centres + scale * torch.randn(count, 3, 3, generator=generator)


def inward(count: int, generator: torch.Generator) -> Rays:
    """From a sphere around the triangles, from within them too, to anywhere between them."""
    origins = torch.randn(count, 3, generator=generator)
    origins[::2] *= 3 / origins[::2].norm(dim=1, keepdim=True)
    ends = torch.rand(count, 3, generator=generator) * 2 - 1
    return Rays(origins, torch.nn.functional.normalize(ends - origins, dim=1))


def to_device(rays: Rays, device: torch.device) -> Rays:
    return Rays(rays.origins.to(device), rays.directions.to(device))


def ours(rays: Rays, corners: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    depth, face = first_triangle(to_device(rays, device), TriangleTree.build(corners))
    return depth.cpu(), face.cpu()


def test_twin_by_hand() -> None:
    corners = torch.tensor([[[0.0, 0, 2], [4, 0, 2], [0, 4, 2]], [[0.0, 0, 3], [0, 4, 3], [4, 0, 3]]])
    origins = torch.tensor([[1.0, 1, 0], [1, 1, 2.5], [1, 1, 4], [3, 3, 0], [1, 1, 5]])
    directions = torch.tensor([[0.0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, -1]])
    depth, face = reference.first_triangle(Rays(origins, directions), corners)
    assert depth.tolist() == [2, 0.5, torch.inf, torch.inf, 2]
    assert face.tolist() == [0, 1, -1, -1, 1]


@pytest.mark.parametrize("count", [1, 4, 5, 700])
@pytest.mark.parametrize("size", [0.05, 0.5])
def test_equals_twin(count, size, generator, runtime):
    corners, rays = scattered(count, size, generator), inward(2000, generator)
    depth, face = ours(rays, corners, runtime.device)
    exact = Rays(rays.origins.double(), rays.directions.double())  # the twin's volumes cancel in single precision
    expected, wanted = reference.first_triangle(exact, corners.double())
    same = face == wanted
    assert (~same).float().mean() <= FLIPPED
    torch.testing.assert_close(depth[same].double(), expected[same], rtol=0, atol=SINGLE)
    if count == 700:
        assert (face >= 0).sum() > 20


@pytest.mark.precision("float64")
def test_equals_twin_in_double_precision(generator, runtime):
    corners, rays = scattered(300, 0.5, generator).double(), inward(500, generator)
    rays = Rays(rays.origins.double(), torch.nn.functional.normalize(rays.directions.double(), dim=1))
    depth, face = ours(rays, corners, runtime.device)
    expected, wanted = reference.first_triangle(rays, corners)
    same = face == wanted
    assert (~same).float().mean() <= FLIPPED
    torch.testing.assert_close(depth[same], expected[same], rtol=0, atol=1e-11)


def test_along_an_axis_and_in_the_plane_of_a_box(runtime):
    """A flat box, and directions with zeros in them."""
    corners = torch.tensor([[[0.0, 0, 2], [4, 0, 2], [0, 4, 2]], [[0.0, 0, 2], [-4, 0, 2], [0, 4, 2]]])
    origins = torch.tensor([[1.0, 1, 0], [0, 1, 0], [-1, 0, 4], [-9, 1, 2], [0, 0, 9]])
    directions = torch.tensor([[0.0, 0, 1], [0, 0, 1], [0, 0, -1], [1, 0, 0], [0, 0, 1]])
    depth, face = ours(Rays(origins, directions), corners, runtime.device)
    assert depth.tolist() == [2, 2, 2, torch.inf, torch.inf]
    assert face[0] == 0 and face[2] == 1 and face[3:].tolist() == [-1, -1]


def test_no_ray_slips_through_a_closed_mesh(generator, runtime):
    """A truth without a reference: from inside a closed surface every ray meets it, from outside an even number of
    times."""
    from taichi_idr.bench.scene import Scene
    from taichi_idr.bench.surfaces import MAJOR, MINOR, torus_mesh

    corners = torus_mesh(Scene()).cpu()
    angle = 6.28 * torch.rand(20000, generator=generator)
    origins = MAJOR * torch.stack([angle.cos(), angle.sin(), torch.zeros(20000)], dim=1)
    directions = torch.nn.functional.normalize(torch.randn(20000, 3, generator=generator), dim=1)
    depth, _ = ours(Rays(origins, directions), corners, runtime.device)
    assert depth.isfinite().all() and depth.min() > 0.9 * MINOR


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_in_any_unit_and_place_as_exact(unit, generator, runtime):
    corners, rays = scattered(200, 0.5, generator).double(), inward(500, generator)
    away = 1e5 * torch.ones(3, dtype=torch.float64)
    near, face = ours(rays, corners, runtime.device)
    moved = Rays((rays.origins.double() + away) * unit, rays.directions)
    far, there = ours(moved, (corners + away) * unit, runtime.device)
    same = (face == there) & (face >= 0)
    assert same.sum() >= 0.98 * (face >= 0).sum()
    torch.testing.assert_close(far[same] / unit, near[same], rtol=0, atol=SINGLE)


def test_no_rays(runtime):
    depth, face = ours(Rays(torch.zeros(0, 3), torch.zeros(0, 3)), torch.eye(3)[None], runtime.device)
    assert len(depth) == len(face) == 0
