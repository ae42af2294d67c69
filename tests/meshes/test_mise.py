"""OCC-4: the mesh of the dense lattice for a share of its questions; what is thin, cut or not there."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scenes import SHAPES
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.errors import Diverged
from taichi_idr.meshes.isosurface import SurfaceBuilder
from taichi_idr.meshes.mesh import make_mesh, topology_by_position
from taichi_idr.meshes.mise import mise_surface, mise_values
from taichi_idr.reference.analytic_sdf import capsule, sphere
from taichi_idr.types import Sdf

HALF = 1.1
CONNECTED = ["sphere", "torus", "capsule", "rounded_box"]


def occupancy(shape: Sdf, sharpness: float = 40.0) -> Sdf:
    """tau - p: no distance, flat away from the surface."""
    return lambda points: 0.5 - torch.sigmoid(-sharpness * shape(points))


class Asked:
    """A field that counts."""

    def __init__(self, field: Sdf) -> None:
        self.field, self.points = field, []

    def __call__(self, points: Tensor) -> Tensor:
        self.points.append(points.cpu())
        return self.field(points)


def dense_values(field: Sdf, cells: int) -> np.ndarray:
    """A field at all (cells + 1)^3 points."""
    axis = np.linspace(-HALF, HALF, cells + 1)
    current = runtime.current()
    plane = torch.from_numpy(np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2))
    values = [
        field(torch.cat([torch.full((len(plane), 1), x), plane], 1).to(current.device, current.dtype)) for x in axis
    ]
    return torch.stack(values).reshape((cells + 1,) * 3).float().cpu().numpy()


@pytest.mark.parametrize("name", CONNECTED)
def test_occ_4_is_the_dense_mesh_with_fewer_questions(name):
    """OCC-4: at 32 * 2^2 the same vertices and faces as all 129^3 points give, with a fifth of the questions."""
    field = Asked(occupancy(SHAPES[name]))
    found = mise_surface(field, half=HALF, coarse=32, levels=2)
    builder = SurfaceBuilder()
    builder.add(dense_values(occupancy(SHAPES[name]), 128))
    vertices, faces = builder.finish()
    assert np.array_equal(found.faces, faces)
    np.testing.assert_allclose(
        found.vertices, vertices * (2 * HALF / 128) - HALF, atol=2e-5
    )  # points are rounded alike
    assert found.questions == sum(map(len, field.points)) < 0.2 * 129**3
    everything = torch.cat(field.points)
    assert len(torch.unique((everything * 1e4).round().int(), dim=0)) == len(everything)  # nothing is asked twice


@pytest.mark.slow
@pytest.mark.parametrize("name", CONNECTED)
def test_occ_4_asks_a_tenth_at_256(name):
    """OCC-4: the same surface as the dense lattice's; measured: 0.7 to 2.0 % of its questions."""
    found = mise_values(occupancy(SHAPES[name]), half=HALF, coarse=32, levels=3)
    dense = dense_values(occupancy(SHAPES[name]), 256)
    assert np.array_equal(found.values < 0, dense < 0)
    assert found.questions < 0.1 * dense.size


def test_occ_4_follows_the_surface_to_where_coarse_cells_do_not_show_it():
    """OCC-4: hanging nodes count. A wire, thinner than coarse cells, that a ball at its end betrays."""

    def ball_on_a_wire(points: Tensor) -> Tensor:
        wire = capsule(points - points.new_tensor([0.031, 0.037, 0.0]), half_length=0.9, radius=0.03)
        return torch.minimum(sphere(points, radius=0.4), wire)

    found = mise_values(occupancy(ball_on_a_wire, 200), half=HALF, coarse=16, levels=3)
    inside = dense_values(ball_on_a_wire, 128) < 0
    coarse = inside[::8, ::8, ::8]
    assert not coarse[:, :, -3:].any()  # the wire's ends
    assert np.array_equal(found.values < 0, inside)
    assert found.questions < 0.05 * inside.size


def test_occ_4_a_distance_loses_no_thin_part():
    """OCC-4: where the steepness is known, a cell splits by the value at its centre too."""
    plate = torch.tensor([0.6, 0.5, 0.012])

    def apart(points: Tensor) -> Tensor:
        places = points - points.new_tensor([0.0, 0.0, 0.47])
        q = places.abs() - plate.to(points)
        outside = q.clamp(min=0).norm(dim=1) + q.amax(dim=1).clamp(max=0)
        return torch.minimum(outside, sphere(points, radius=0.3))

    inside = dense_values(apart, 128) < 0
    blind = mise_values(apart, half=HALF, coarse=16, levels=3)
    assert not np.array_equal(blind.values < 0, inside)
    found = mise_values(apart, half=HALF, coarse=16, levels=3, steepness=1.0)
    assert np.array_equal(found.values < 0, inside)
    assert blind.questions < found.questions < 0.25 * inside.size


def test_occ_4_closes_what_the_cube_cuts():
    """OCC-4: padded so that it closes, and outward."""
    found = mise_surface(occupancy(partial(sphere, radius=1.3), 10), half=HALF, coarse=8, levels=2)
    mesh = make_mesh(found.vertices, found.faces)
    _, topology = topology_by_position(mesh.vertices, mesh.faces)
    step = 2 * HALF / 32
    assert topology.closed and topology.bodies == 1
    assert np.abs(found.vertices).max() < HALF + step
    a, b, c = (found.vertices[found.faces[:, k]] for k in range(3))
    cap, disc = np.pi * 0.2**2 * (3 * 1.3 - 0.2) / 3, np.pi * (1.3**2 - HALF**2)
    whole = 4 / 3 * np.pi * 1.3**3 - 6 * cap
    assert whole < (np.cross(a, b) * c).sum() / 6 < whole + 6 * disc * step


def test_occ_4_says_where_there_is_no_surface():
    with pytest.raises(Diverged, match=r"no surface in bounds: the field is in \[.*\] at 729 points; fit longer"):
        mise_surface(lambda points: 1 + points.norm(dim=1), half=HALF, coarse=8, levels=2)
    with pytest.raises(Diverged, match="not finite"):
        mise_surface(lambda points: points[:, 0] / 0, half=HALF, coarse=8, levels=2)


def test_occ_4_cells_that_hold_a_known_place_are_halved_too():
    """OCC-4: a plate between two planes of the coarse lattice is lost, but for a place on it."""
    plate: Sdf = lambda points: (points - 0.05).abs().div(points.new_tensor([0.6, 0.5, 0.01])).amax(dim=1) - 1  # noqa: E731
    with pytest.raises(Diverged):
        mise_surface(plate, half=HALF, coarse=16, levels=4)
    found = mise_surface(plate, half=HALF, coarse=16, levels=4, places=np.array([[0.05, 0.05, 0.06]]))
    np.testing.assert_allclose(np.ptp(found.vertices, axis=0), [1.2, 1.0, 0.02], atol=0.005)
    _, topology = topology_by_position(found.vertices, found.faces)
    assert topology.closed and topology.bodies == 1
