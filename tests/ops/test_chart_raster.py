"""Texels of triangles: kernel against twin, twin against cases worked out by hand."""

from __future__ import annotations

import pytest
import torch

from taichi_idr.ops.chart_raster import rasterise_charts
from taichi_idr.reference import chart_raster as reference

ON_EDGES = 0.002  # share of texels that lie on an edge within rounding; measured 0 to 0.0004


def test_twin_by_hand() -> None:
    """A square of two triangles, the other way round each, and one beside it without area."""
    corners = torch.tensor([[[0.5, 0.5], [2.5, 0.5], [2.5, 2.5]], [[0.5, 0.5], [0.5, 2.5], [2.5, 2.5]], [[3.0, 0]] * 3])
    face = reference.rasterise_charts(corners, 4, 4)
    assert face.tolist() == [[-1, -1, -1, -1], [-1, 1, 0, -1], [-1, 1, 1, -1], [-1, -1, -1, -1]]


@pytest.mark.parametrize("count", [1, 300])
@pytest.mark.parametrize("size", [2.0, 30.0])
def test_equals_twin(count, size, generator, runtime):
    middles = 40 * torch.rand(count, 1, 2, generator=generator)
    corners = middles + size * (torch.rand(count, 3, 2, generator=generator) - 0.5)
    found = rasterise_charts(corners.to(runtime.device), 33, 41).cpu()
    expected = reference.rasterise_charts(corners, 33, 41)
    assert (found != expected).float().mean() <= ON_EDGES
    if count == 300 and size == 30:
        assert (found >= 0).float().mean() > 0.3


@pytest.mark.precision("float64")
def test_no_texel_of_a_closed_square_is_missed(generator, runtime):
    """Triangles that share all of their edges leave no texel out, wherever their corners are."""
    cells = 12
    lattice = torch.stack(torch.meshgrid(torch.arange(cells + 1), torch.arange(cells + 1), indexing="ij"), -1).double()
    inner = lattice[1:-1, 1:-1]
    inner += 0.6 * (torch.rand(inner.shape, generator=generator, dtype=torch.float64) - 0.5)
    grid = lattice * 50 / cells - 0.5
    a, b, c, d = (part.reshape(-1, 2) for part in (grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]))
    corners = torch.cat([torch.stack([a, b, c], dim=1), torch.stack([a, c, d], dim=1)])
    assert (rasterise_charts(corners.to(runtime.device), 50, 50) >= 0).all()


def test_nothing_to_draw_and_bad_shapes(runtime):
    assert (rasterise_charts(torch.zeros(0, 3, 2), 3, 4) == -1).all()
    with pytest.raises(ValueError, match=r"corners \(F, 3, 2\)"):
        rasterise_charts(torch.zeros(5, 2), 3, 4)
