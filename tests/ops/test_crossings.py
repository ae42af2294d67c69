"""OCC-3: how often rays leave and enter a mesh. Kernel against twin, twin against cases worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from taichi_idr.ops.crossings import crossings
from taichi_idr.ops.triangle_tree import TriangleTree
from taichi_idr.reference import crossings as reference
from taichi_idr.types import Rays

MISCOUNTED = 0.002  # share of rays that pass an edge within rounding; measured 0 to 5e-4


def test_twin_by_hand() -> None:
    front = torch.tensor([[0.0, 0, 2], [0, 4, 2], [4, 0, 2]])  # looks at -z
    corners = torch.stack([front, front.flip(0) + torch.tensor([0.0, 0, 1])])
    origins = torch.tensor([[1.0, 1, 0], [1, 1, 2.5], [1, 1, 4], [3, 3, 0]])
    directions = torch.tensor([[0.0, 0, 1]]).expand(4, 3)
    winding, passed = reference.crossings(Rays(origins, directions), corners)
    assert winding.tolist() == [0, 1, 0, 0]
    assert passed.tolist() == [2, 1, 0, 0]


@pytest.mark.parametrize("count", [1, 5, 700])
def test_equals_twin(count, generator, runtime):
    corners = torch.randn(count, 1, 3, generator=generator) + 0.4 * torch.randn(count, 3, 3, generator=generator)
    origins = torch.randn(2000, 3, generator=generator)
    directions = normalize(torch.randn(2000, 3, generator=generator), dim=1)
    expected = reference.crossings(Rays(origins.double(), directions.double()), corners.double())
    rays = Rays(origins.to(runtime.device), directions.to(runtime.device))
    for found, wanted in zip(crossings(rays, TriangleTree.build(corners)), expected, strict=True):
        assert (found.cpu() != wanted).float().mean() <= MISCOUNTED
        if count == 700:
            assert wanted.abs().max() >= 3


def test_winding_of_a_torus_is_its_inside(generator, runtime):
    """A truth without a reference: of a closed mesh, in any direction."""
    from taichi_idr.bench.scene import Scene
    from taichi_idr.bench.surfaces import MAJOR, MINOR, torus_mesh

    points = 2 * torch.rand(20000, 3, generator=generator) - 1
    directions = normalize(torch.randn(20000, 3, generator=generator), dim=1)
    distance = torch.hypot(points[:, :2].norm(dim=1) - MAJOR, points[:, 2]) - MINOR
    clear = distance.abs() > 0.01  # farther from the torus than its mesh is
    tree = TriangleTree.build(torus_mesh(Scene()).cpu())
    winding, passed = crossings(Rays(points.to(runtime.device), directions.to(runtime.device)), tree)
    inside = (distance < 0)[clear]
    assert ((winding.cpu()[clear] == 1) != inside).float().mean() <= MISCOUNTED
    assert ((passed.cpu()[clear] % 2 == 1) != inside).float().mean() <= MISCOUNTED


def test_no_rays(runtime):
    nothing = Rays(torch.zeros(0, 3), torch.zeros(0, 3))
    winding, passed = crossings(nothing, TriangleTree.build(torch.eye(3)[None]))
    assert len(winding) == len(passed) == 0
