"""Which parts of a surface are bodies, how many are kept, and that the others are counted once each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from taichi_idr.commands.mesh import mesh_lines
from taichi_idr.errors import UsageError
from taichi_idr.meshes import mesh as meshes
from taichi_idr.meshes.bodies import Bodies, find_bodies
from taichi_idr.meshes.extraction import Surface, extract_mesh, extract_surface
from taichi_idr.meshes.isosurface import SurfaceBuilder

VOLUME_ERROR = 0.005  # measured 0.003: chords of the smallest ball
RESOLUTION = 64
ALONG_EDGES, ACROSS_FACES = (ndimage.generate_binary_structure(3, order) for order in (1, 2))


def bodies_of(inside: np.ndarray) -> Bodies:
    """Of a lattice (X, Y, Z) of which is inside and which not; its border is outside."""
    builder = SurfaceBuilder()
    builder.add(np.where(np.pad(inside, 1), -1.0, 1.0))
    return find_bodies(*builder.finish())


def block(*ranges: tuple[int, int]) -> np.ndarray:
    inside = np.zeros((20, 12, 12), bool)
    inside[tuple(slice(*ends) for ends in ranges)] = True
    return inside


def test_a_hollow_and_what_floats_in_it_belong_to_the_body_around_them() -> None:
    shell = block((0, 11), (0, 11), (0, 11)) & ~block((2, 9), (2, 9), (2, 9))
    found = bodies_of(shell | block((4, 7), (4, 7), (4, 7)) | block((13, 19), (0, 11), (0, 11)))
    assert len(found) == 2 and found.hollows.tolist() == [1, 0]
    vertices, faces = found.largest(1)
    assert meshes.topology(faces, len(vertices)) == meshes.Topology(closed=True, bodies=1, euler=2)
    assert vertices[:, 0].max() == 11.5 and meshes.volume(vertices, faces) == pytest.approx(11**3, rel=0.02)


def test_bodies_are_ordered_by_what_they_enclose() -> None:
    """A thin box of more surface comes after a compact one."""
    thin, compact = block((0, 2), (0, 12), (0, 12)), block((4, 12), (0, 8), (0, 8))
    found = bodies_of(block((14, 15), (0, 1), (0, 1)) | thin | compact)
    volumes = [meshes.volume(*found.largest(count)) for count in (1, 2, 3, 4)]
    gained = np.diff(volumes, prepend=0)
    assert gained[0] > gained[1] > gained[2] > gained[3] == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.2, 0.5, 0.7]))
def test_they_are_those_of_the_lattice_points(seed: int, share: float) -> None:
    """Inside points are joined along the lattice's edges alone, outside points across its faces too."""
    inside = np.random.default_rng(seed).random((9, 9, 9)) < share
    found = bodies_of(inside)
    filled = ndimage.binary_fill_holes(np.pad(inside, 1), ACROSS_FACES)
    assert len(found) == ndimage.label(filled, ALONG_EDGES)[1]
    outsides = ndimage.label(~np.pad(inside, 1), ACROSS_FACES)[1] - 1
    parts = ndimage.label(inside, ALONG_EDGES)[1] + outsides
    assert meshes.topology(found.faces, len(found.vertices)).bodies == parts
    assert found.hollows.sum() <= outsides
    vertices, faces = found.largest(len(found))
    assert meshes.topology(faces, len(vertices)).bodies == len(found)


def ball(radius: float, *centre: float):
    return lambda points: (points - torch.tensor(centre, dtype=points.dtype)).norm(dim=1) - radius


def bar(radius: float, start: tuple[float, ...], end: tuple[float, ...]):
    """A capsule."""

    def distance(points: Tensor) -> Tensor:
        a, b = (torch.tensor(point, dtype=points.dtype) for point in (start, end))
        along = ((points - a) @ (b - a) / (b - a).square().sum()).clamp(0, 1)
        return (points - a - along[:, None] * (b - a)).norm(dim=1) - radius

    return distance


def union(*parts):
    return lambda points: torch.stack([part(points) for part in parts]).amin(dim=0)


def volume_of_balls(*radii: float) -> float:
    return 4 / 3 * np.pi * sum(radius**3 for radius in radii)


def check(found: Surface, bodies: int, volume: float) -> None:
    topology = meshes.topology(found.faces, len(found.vertices))
    assert topology.closed and topology.bodies == bodies
    assert meshes.volume(found.vertices, found.faces) == pytest.approx(volume, rel=VOLUME_ERROR)


NEAR, FAR, CUT = ball(0.1, 0.45, 0, 0), ball(0.15, -0.8, 0, 0), ball(0.12, 0, 0.5, 0)
"""Beside a ball of 0.3 whose box ends at 0.5: inside of that, outside, and across its border."""


@pytest.mark.parametrize("other", [NEAR, FAR, CUT], ids=["near", "far", "cut"])
def test_two_balls(other) -> None:
    radius = float(-other(torch.tensor([[0.45, 0, 0], [-0.8, 0, 0], [0, 0.5, 0]])).amin())
    field = union(ball(0.3, 0, 0, 0), other)
    largest = extract_surface(field, resolution=RESOLUTION)
    check(largest, 1, volume_of_balls(0.3))
    assert largest.dropped == 1 and np.linalg.norm(largest.vertices, axis=1).max() < 0.31
    for bodies in ("all", 2, 7):
        both = extract_surface(field, resolution=RESOLUTION, bodies=bodies)
        check(both, 2, volume_of_balls(0.3, radius))
        assert both.dropped == 0


def test_of_four_balls_so_many_of_the_largest() -> None:
    field = union(ball(0.3, 0, 0, 0), NEAR, FAR, CUT)
    radii = [0.3, 0.15, 0.12, 0.1]
    for kept in (1, 2, 3, 4):
        found = extract_surface(field, resolution=RESOLUTION, bodies=kept)
        check(found, kept, volume_of_balls(*radii[:kept]))
        assert found.dropped == 4 - kept
    check(extract_surface(field, resolution=RESOLUTION, bodies="all"), 4, volume_of_balls(*radii))


def test_main_bodies_are_those_that_are_not_small() -> None:
    """Volumes of 1, .125, .064, .037 and, too small, .011 of the largest, wherever they lie."""
    small = ball(0.067, 0, -0.5, 0)
    found = extract_surface(union(ball(0.3, 0, 0, 0), NEAR, FAR, CUT, small), resolution=RESOLUTION, bodies="main")
    check(found, 4, volume_of_balls(0.3, 0.15, 0.12, 0.1))
    assert found.dropped == 1
    check(
        extract_surface(union(ball(0.3, 0, 0, 0), small), resolution=RESOLUTION, bodies="main"), 1, volume_of_balls(0.3)
    )


def test_pieces_of_a_cut_body_count_once() -> None:
    """Two legs reach into the box of the ball; they meet outside of it."""
    hoop = union(
        bar(0.05, (0.3, 0.42, 0), (0.3, 0.7, 0)), bar(0.05, (-0.3, 0.42, 0), (-0.3, 0.7, 0)),
        bar(0.05, (-0.3, 0.7, 0), (0.3, 0.7, 0)),
    )  # fmt: skip
    assert extract_surface(union(ball(0.3, 0, 0, 0), hoop), resolution=RESOLUTION).dropped == 1


def test_two_that_a_bar_joins_are_one_however_thin_it_is() -> None:
    """The rough lattice sees two balls, the box around the first cuts the bar."""
    field = union(ball(0.3, -0.5, 0, 0), ball(0.2, 0.6, 0, 0), bar(0.008, (-0.5, 0, 0), (0.6, 0, 0)))
    found = extract_surface(field, resolution=256)
    assert found.dropped == 0
    assert meshes.topology(found.faces, len(found.vertices)) == meshes.Topology(closed=True, bodies=1, euler=2)
    np.testing.assert_allclose(found.vertices[:, 0].max(), 0.8, atol=1e-3)


def test_where_two_are_one_another_is_the_second() -> None:
    """The rough lattice sees three balls of which two hang together."""
    joined = union(ball(0.25, 0, 0, 0), ball(0.2, 0.55, 0, 0), bar(0.008, (0, 0, 0), (0.55, 0, 0)))
    found = extract_surface(union(joined, ball(0.1, -0.7, 0.5, 0)), resolution=192, bodies=2)
    check(found, 2, volume_of_balls(0.25, 0.2, 0.1))
    assert found.dropped == 0


def test_a_hollow_is_filled_and_no_body_that_was_dropped() -> None:
    shell = lambda points: torch.maximum(ball(0.5, 0, 0, 0)(points), -ball(0.4, 0, 0, 0)(points))  # noqa: E731
    for bodies in (1, "all"):
        mesh, report = extract_mesh(
            union(shell, ball(0.2, 0, 0, 0)), resolution=RESOLUTION, T_world_normalised=np.eye(4), bodies=bodies
        )
        assert meshes.volume(mesh.vertices, mesh.faces) == pytest.approx(volume_of_balls(0.5), rel=VOLUME_ERROR)
        assert (report.dropped, report.filled, report.topology.bodies) == (0, 1, 1)
        assert "filled    1 hollow" in mesh_lines(report)


def test_a_body_that_the_bounding_sphere_cuts_is_closed_and_said_to_be_cut() -> None:
    field = union(ball(0.3, 0, 0, 0), ball(0.2, 0, 0.9, 0))
    _, alone = extract_mesh(field, resolution=RESOLUTION, T_world_normalised=np.eye(4))
    assert alone.dropped == 1 and alone.clipped == 0
    assert "dropped   1 smaller body" in mesh_lines(alone)
    mesh, both = extract_mesh(field, resolution=RESOLUTION, T_world_normalised=np.eye(4), bodies="all")
    assert both.topology.closed and both.topology.bodies == 2 and both.dropped == 0
    assert 0 < both.clipped < 0.3 and np.linalg.norm(mesh.vertices, axis=1).max() < 1.001


def test_no_body_is_none() -> None:
    with pytest.raises(UsageError, match="--bodies 0"):
        extract_surface(ball(0.3, 0, 0, 0), resolution=RESOLUTION, bodies=0)
