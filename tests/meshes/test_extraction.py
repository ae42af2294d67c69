"""Meshes of fields with closed forms: accuracy, frame (CAM-10), closedness, economy (EVAL-1)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from taichi_idr.commands.mesh import mesh_lines
from taichi_idr.errors import Diverged, UsageError
from taichi_idr.meshes import mesh as meshes
from taichi_idr.meshes.colours import viewing_directions
from taichi_idr.meshes.extraction import extract_mesh, extract_surface

IDENTITY = np.eye(4)
RESOLUTION = 96
# Distance of a vertex from a smooth surface of curvature k on a lattice of step h: h^2 k / 8; h is about 0.01
# here.
VERTEX_ERROR = 3e-4


def torus(points: Tensor) -> Tensor:
    ring = torch.stack([points[:, :2].norm(dim=1) - 0.45, points[:, 2]], dim=1)
    return ring.norm(dim=1) - 0.2


def ball(points: Tensor, radius: float = 0.5, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Tensor:
    return (points - torch.tensor(centre, dtype=points.dtype)).norm(dim=1) - radius


def slab(points: Tensor) -> Tensor:
    """A plate thinner than the rough lattice's step, oblique to every axis."""
    turned = points @ torch.linalg.qr(torch.tensor([[1.0, 2, 3], [4, 5, 7], [1, 0, 2]]))[0]
    return (turned.abs() - torch.tensor([0.5, 0.4, 0.012])).amax(dim=1)


def test_torus_is_exact_and_closed() -> None:
    mesh, report = extract_mesh(torus, resolution=RESOLUTION, T_world_normalised=IDENTITY)
    assert torus(torch.from_numpy(mesh.vertices)).abs().max() < VERTEX_ERROR
    assert report.topology == meshes.Topology(closed=True, bodies=1, euler=0)
    assert report.dropped == 0 and report.clipped == 0
    assert meshes.volume(mesh.vertices, mesh.faces) == pytest.approx(2 * np.pi**2 * 0.45 * 0.2**2, rel=3e-3)


def test_what_is_no_distance_is_asked_where_signs_change_alone() -> None:
    """A density that leaps at its level bounds no distance: by its slope far more is asked than is near the surface."""
    asked = []

    def density(points: Tensor) -> Tensor:
        asked.append(len(points))
        return 1 - 20 * torch.sigmoid((0.5 - points.norm(dim=1)) / 0.003)

    counts = []
    for is_distance in (True, False):
        asked.clear()
        options = {"resolution": 128, "T_world_normalised": IDENTITY, "is_distance": is_distance}
        mesh, report = extract_mesh(density, **options)
        counts.append(sum(asked) - 100**3)  # those of the rough lattice
        assert report.topology.closed
        radii = np.linalg.norm(mesh.vertices, axis=1)
        assert abs(radii - 0.509).max() < 0.006  # half a step
    assert counts[1] < 0.6 * counts[0]  # measured: 0.54, at three times the resolution 0.23


def test_mesh_is_in_the_world_frame_with_its_side_outward() -> None:
    T = np.diag([200.0, 200.0, 200.0, 1.0])
    T[:3, 3] = -30, 40, 650
    mesh, report = extract_mesh(ball, resolution=64, T_world_normalised=T)
    out = mesh.vertices - T[:3, 3]
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 100, atol=200 * VERTEX_ERROR)
    assert np.all((mesh.normals * out).sum(axis=1) > 0)
    assert meshes.volume(mesh.vertices, mesh.faces) == pytest.approx(4 / 3 * np.pi * 100**3, rel=5e-3)
    assert report.size == pytest.approx((200, 200, 200), rel=5e-3)


def test_resolution_counts_samples_along_the_shortest_axis() -> None:
    found = extract_surface(ball, resolution=RESOLUTION)
    step = (1.0 + 2 * 0.2) / (RESOLUTION - 1)
    # A surface meets 1.5 lattice edges per step^2 on average over directions.
    assert len(found.vertices) == pytest.approx(1.5 * np.pi / step**2, rel=0.05)
    assert len(found.faces) == 2 * len(found.vertices) - 4


def test_the_field_is_asked_near_the_surface_only() -> None:
    asked = 0

    def counted(points: Tensor) -> Tensor:
        nonlocal asked
        asked += len(points)
        return ball(points)

    found = extract_surface(counted, resolution=256)
    assert asked < 1.4e6 + 10 * len(found.vertices)  # a dense lattice would take 17e6


def test_thin_plate_is_whole() -> None:
    found = extract_surface(slab, resolution=128)
    assert found.dropped == 0
    assert meshes.topology(found.faces, len(found.vertices)).euler == 2
    assert meshes.volume(found.vertices, found.faces) == pytest.approx(1.0 * 0.8 * 0.024, rel=0.02)


def test_steep_and_flat_fields_give_the_same_surface() -> None:
    faces = extract_surface(torus, resolution=RESOLUTION).faces
    for factor in (0.05, 20.0):
        scaled = extract_surface(lambda p, k=factor: k * torus(p), resolution=RESOLUTION)
        assert len(scaled.faces) == pytest.approx(len(faces), rel=0.01)
        assert torus(torch.from_numpy(scaled.vertices)).abs().max() < VERTEX_ERROR


@pytest.mark.fault(60)
def test_surface_beyond_the_bounding_sphere_is_cut_and_said_so() -> None:
    mesh, report = extract_mesh(lambda p: p[:, 2] - 0.2, resolution=64, T_world_normalised=IDENTITY)
    assert report.topology.closed
    assert np.linalg.norm(mesh.vertices, axis=1).max() < 1 + VERTEX_ERROR
    assert report.clipped > 0.5
    assert any("bounding sphere" in sentence for sentence in mesh_lines(report))


@pytest.mark.fault(60)
def test_all_inside_is_the_sphere_and_all_outside_is_no_surface() -> None:
    vertices = extract_surface(lambda p: torch.full((len(p),), -1.0), resolution=32).vertices
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1, atol=0.01)
    with pytest.raises(Diverged, match=r"no surface in bounds.*\[0\.3, "):
        extract_surface(lambda p: torch.full((len(p),), 0.3), resolution=32)


def test_non_finite_field_is_refused() -> None:
    with pytest.raises(Diverged, match="not finite"):
        extract_surface(lambda p: torch.full((len(p),), float("nan")), resolution=32)
    with pytest.raises(UsageError):
        extract_surface(ball, resolution=4)


def test_wild_field_still_gives_a_closed_surface() -> None:
    def wild(points: Tensor) -> Tensor:
        return ball(points) + 0.1 * torch.sin(40 * points).prod(dim=1) + 0.02 * torch.sin(2000 * points[:, 0])

    found = extract_surface(wild, resolution=128)
    assert meshes.topology(found.faces, len(found.vertices)).closed


def test_colours_belong_to_their_vertices() -> None:
    T = np.diag([10.0, 10.0, 10.0, 1.0])
    mesh, _ = extract_mesh(ball, resolution=48, T_world_normalised=T, colour=lambda points, _: points + 0.5)
    assert mesh.colours is not None
    np.testing.assert_allclose(mesh.colours / 255, mesh.vertices / 10 + 0.5, atol=0.5 / 255 + 2e-3)


def test_viewing_directions_are_those_of_facing_cameras() -> None:
    scattered = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    centres = 3 * torch.nn.functional.normalize(scattered, dim=1)
    normals = centres[:5] / 3
    directions = viewing_directions(torch.zeros(5, 3), normals, centres)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(5))
    assert ((-directions * normals).sum(dim=1) > 0.9).all()


def test_viewing_directions_without_a_facing_camera_follow_the_normal() -> None:
    centres = torch.tensor([[0.0, 0, 3], [0.1, 0, 3], [0, 0.1, 3]])
    normal = torch.tensor([[0.0, 0, -1]])
    torch.testing.assert_close(viewing_directions(torch.zeros(1, 3), normal, centres), -normal)
    torch.testing.assert_close(viewing_directions(torch.zeros(1, 3), normal, centres[:1]), -normal)
