"""Distance to a mesh: kernel against twin, twin against cases worked out by hand."""

from __future__ import annotations

import pytest
import torch

from taichi_idr.ops.closest_triangle import closest_triangle
from taichi_idr.reference import closest_triangle as reference

SINGLE = 2e-6  # measured 6e-7: float32 at coordinates of order 1


def scattered(count: int, size: float, generator: torch.Generator) -> torch.Tensor:
    """Triangles of all sizes below `size`, some of them needles."""
    scale = size * torch.rand(count, 1, 1, generator=generator) ** 4
    centres = torch.rand(count, 1, 3, generator=generator) * 2 - 1
    return centres + scale * torch.randn(count, 3, 3, generator=generator)


def test_twin_in_every_region() -> None:
    triangle = torch.tensor([[[0.0, 0, 0], [4, 0, 0], [0, 4, 0]]])
    points = torch.tensor([[1.0, 1, 2], [1, -3, 0], [-3, -4, 0], [5, 0, 0], [3, 3, 0], [1, 1, 0], [0, 7, 4]])
    expected = torch.tensor([2, 3, 5, 1, 2**0.5, 0, 5])
    for corners in (triangle, triangle.flip(1)):
        torch.testing.assert_close(reference.closest_triangle(points, corners)[0], expected)


def test_twin_takes_a_triangle_without_area_as_a_segment() -> None:
    needle = torch.tensor([[[0.0, 0, 0], [2, 0, 0], [1, 0, 0]]])
    distance, _ = reference.closest_triangle(torch.tensor([[1.0, 3, 0], [5, 4, 0]]), needle)
    assert distance.tolist() == [3, 5]


@pytest.mark.parametrize("count", [1, 4, 5, 700])
@pytest.mark.parametrize("size", [0.01, 0.5])
def test_equals_twin(count, size, generator, runtime):
    corners = scattered(count, size, generator)
    points = torch.randn(300, 3, generator=generator)
    distance, nearest = closest_triangle(points, corners)
    expected, _ = reference.closest_triangle(points, corners)
    torch.testing.assert_close(distance.cpu(), expected, rtol=0, atol=SINGLE * 4)
    chosen = reference.triangle_distance(points, corners[nearest.cpu()])
    torch.testing.assert_close(chosen, expected, rtol=0, atol=SINGLE * 4)


@pytest.mark.precision("float64")
def test_equals_twin_in_double_precision(generator, runtime):
    corners, points = scattered(300, 0.3, generator).double(), torch.randn(100, 3, generator=generator).double()
    distance, _ = closest_triangle(points, corners)
    torch.testing.assert_close(distance.cpu(), reference.closest_triangle(points, corners)[0], rtol=0, atol=1e-12)


def test_far_from_the_origin_is_as_exact(generator, runtime):
    corners, points = scattered(200, 0.3, generator).double(), torch.randn(100, 3, generator=generator).double()
    near, far = closest_triangle(points, corners)[0], closest_triangle(points + 1e5, corners + 1e5)[0]
    torch.testing.assert_close(far, near, rtol=0, atol=SINGLE * 4)


@pytest.mark.parametrize("unit", [1e-12, 1e-9, 1e6, 1e9])
def test_in_any_unit_as_exact(unit, generator, runtime):
    """Squares of the triangles' areas, 1e-44 at a nanometre, are beyond single precision."""
    corners, points = scattered(200, 0.3, generator).double(), torch.randn(100, 3, generator=generator).double()
    expected, found = closest_triangle(points, corners), closest_triangle(unit * points, unit * corners)
    torch.testing.assert_close(found[0] / unit, expected[0], rtol=0, atol=SINGLE)


def test_points_on_the_mesh_are_at_no_distance(generator, runtime):
    corners = scattered(200, 0.3, generator)
    distance, _ = closest_triangle(corners.mean(dim=1), corners)
    assert distance.max() < SINGLE


def test_no_points_and_wrong_shapes(runtime):
    corners = torch.zeros(2, 3, 3)
    assert len(closest_triangle(torch.zeros(0, 3), corners)[0]) == 0
    with pytest.raises(ValueError, match="expected points"):
        closest_triangle(torch.zeros(4, 2), corners)
    with pytest.raises(ValueError, match="F > 0"):
        closest_triangle(torch.zeros(4, 3), corners[:0])
