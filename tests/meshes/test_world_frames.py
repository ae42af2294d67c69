"""Meshes wherever a capture's origin is and whatever its unit: extracted, written, read back, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation
from torch import Tensor

from taichi_idr.commands.mesh import mesh_lines
from taichi_idr.measures.surfaces import MeshDistance, mesh_distance
from taichi_idr.meshes import mesh as meshes
from taichi_idr.meshes.extraction import extract_mesh
from taichi_idr.meshes.glb import placement
from taichi_idr.meshes.reading import read_mesh
from taichi_idr.meshes.writing import stored_positions, write_mesh

FRAMES: dict[str, tuple[float, tuple[float, float, float]]] = {
    "utm": (1.0, (5e5, 5.4e6, 120.0)),
    "utm, a coin": (0.02, (5e5, 5.4e6, 120.0)),
    "earth-centred": (1.0, (4.2e6, 6e5, 4.77e6)),  # 6.4e6 from the origin
    "1 km": (1e3, (-2e3, 3e3, 50.0)),
    "nanometres of a metre": (1e9, (3e9, 0.0, 0.0)),
    "metres of a nanometre": (1e-9, (3e-9, -2e-9, 5e-9)),
    "millions": (1e6, (2e6, 0.0, -7e6)),
}
"""World units per normalised one, and where the middle of the normalised frame is."""
SINGLE = 1e-7  # measured 6.3e-8 of the radius: a GLB keeps positions in float32, relative to the mesh
NORMAL = 2e-6  # measured 9.2e-7: of facets 0.07 of the radius wide, whose corners are rounded like that
SAME = 0.01  # relative, of distances to the truth
SAMPLES = 20_000


def T_world_normalised(frame: str) -> np.ndarray:
    scale, shift = FRAMES[frame]
    T = np.eye(4)
    T[:3, :3] = scale * Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    T[:3, 3] = shift
    return T


EVERYWHERE = (".ply", ".glb", ".obj")
"""Formats that have a place for where a mesh is."""


def sphere(level: int = 4) -> meshes.Mesh:
    shape = trimesh.creation.icosphere(level)
    return meshes.make_mesh(np.asarray(shape.vertices), np.asarray(shape.faces, np.int32))


def ball(points: Tensor) -> Tensor:
    return points.norm(dim=1) - 0.5


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("suffix", EVERYWHERE)
def test_a_file_holds_the_mesh(frame: str, suffix: str, tmp_path: Path) -> None:
    mesh, file = meshes.transformed(sphere(), T_world_normalised(frame)), tmp_path / f"a{suffix}"
    write_mesh(file, mesh)
    ours, theirs = read_mesh(file), trimesh.load_scene(file, process=False).to_mesh()
    tolerance = FRAMES[frame][0] * SINGLE if suffix == ".glb" else 0.0
    for vertices, faces in ((ours.vertices, ours.faces), (theirs.vertices, theirs.faces)):
        np.testing.assert_array_equal(faces, mesh.faces)
        np.testing.assert_allclose(vertices, mesh.vertices, rtol=0, atol=tolerance)
        assert meshes.topology_by_position(vertices, faces) == (len(mesh.vertices), meshes.Topology(True, 1, 2))
    np.testing.assert_array_equal(ours.vertices, stored_positions(file, mesh.vertices))
    np.testing.assert_allclose(ours.normals, mesh.normals, atol=NORMAL)
    assert theirs.is_watertight


@pytest.mark.parametrize("frame", FRAMES)
def test_an_stl_has_the_shape_but_not_the_place(frame: str, tmp_path: Path) -> None:
    """It has single precision and no node: what is far away is brought near."""
    mesh, scale = meshes.transformed(sphere(), T_world_normalised(frame)), FRAMES[frame][0]
    write_mesh(tmp_path / "a.stl", mesh)
    found = read_mesh(tmp_path / "a.stl")
    assert np.abs(found.vertices).max() < 4 * scale
    assert meshes.volume(found.vertices, found.faces) == pytest.approx(
        meshes.volume(mesh.vertices, mesh.faces), rel=1e-5
    )
    assert meshes.topology_by_position(found.vertices, found.faces)[1] == meshes.Topology(True, 1, 2)


@pytest.mark.parametrize("frame", FRAMES)
def test_usd_places_the_mesh_by_a_node(frame: str, tmp_path: Path) -> None:
    from pxr import Usd, UsdGeom  # pyright: ignore

    mesh, scale = meshes.transformed(sphere(), T_world_normalised(frame)), FRAMES[frame][0]
    write_mesh(tmp_path / "a.usdz", mesh)
    stage = Usd.Stage.Open(str(tmp_path / "a.usdz"))  # pyright: ignore
    shape = UsdGeom.Mesh(stage.GetPrimAtPath("/object/mesh"))  # pyright: ignore
    T = np.array(UsdGeom.XformCache().GetLocalToWorldTransform(shape.GetPrim()))  # pyright: ignore
    points = np.array(shape.GetPointsAttr().Get(), np.float64) @ T[:3, :3] + T[3, :3]
    np.testing.assert_allclose(points, mesh.vertices, rtol=0, atol=scale * SINGLE)


@pytest.fixture(scope="module")
def truth() -> meshes.Mesh:
    """The ball in the normalised frame, finer than it is extracted."""
    fine = sphere(6)
    return meshes.make_mesh(fine.vertices / 2, fine.faces)


@pytest.fixture
def clean(truth: meshes.Mesh) -> MeshDistance:
    """Of an extraction in the normalised frame; measured 8.0e-4."""
    return mesh_distance(extract_mesh(ball, resolution=32, T_world_normalised=np.eye(4))[0], truth, samples=SAMPLES)


@pytest.mark.parametrize("frame", FRAMES)
def test_an_extraction_is_as_near_to_the_truth_as_anywhere(
    frame: str, truth: meshes.Mesh, clean: MeshDistance, tmp_path: Path
) -> None:
    """Extracted, written, read and measured in the world frame."""
    T = T_world_normalised(frame)
    mesh, report = extract_mesh(ball, resolution=32, T_world_normalised=T)
    assert report.topology == meshes.Topology(closed=True, bodies=1, euler=2) and report.coincident == 0
    for suffix in EVERYWHERE:
        write_mesh(tmp_path / f"a{suffix}", mesh)
        found = mesh_distance(read_mesh(tmp_path / f"a{suffix}"), meshes.transformed(truth, T), samples=SAMPLES)
        lengths = np.array([found.accuracy, found.completeness, found.chamfer]) / FRAMES[frame][0]
        np.testing.assert_allclose(lengths, [clean.accuracy, clean.completeness, clean.chamfer], rtol=SAME)
        assert found.fscore == clean.fscore == 1
        assert found.normal_error_deg == pytest.approx(clean.normal_error_deg, rel=SAME)


@pytest.mark.parametrize("frame", FRAMES)
def test_area_volume_and_normals_know_no_origin(frame: str) -> None:
    here = sphere()
    there = meshes.transformed(here, T_world_normalised(frame))
    again, scale = meshes.make_mesh(there.vertices, there.faces), FRAMES[frame][0]
    np.testing.assert_allclose(again.normals, there.normals, atol=NORMAL)
    assert meshes.area(there.vertices, there.faces) / scale**2 == pytest.approx(meshes.area(here.vertices, here.faces))
    volume = meshes.volume(there.vertices, there.faces) / scale**3
    assert volume == pytest.approx(meshes.volume(here.vertices, here.faces))


@pytest.mark.parametrize("frame", FRAMES)
def test_the_node_of_a_glb_is_exact_in_single_precision(frame: str) -> None:
    """Viewers keep a node's numbers in it: what they round, they would move."""
    place = placement(meshes.transformed(sphere(), T_world_normalised(frame)).vertices)
    if frame != "utm, a coin":  # smaller than the 0.5 m between the numbers there
        np.testing.assert_array_equal(np.float32(place.centre), place.centre)
    assert np.float32(place.scale) == place.scale


def test_a_mesh_around_the_origin_needs_no_node() -> None:
    assert placement(sphere().vertices).node(sphere().vertices) == {}
    assert placement(np.zeros((3, 3))).node(np.zeros((3, 3))).keys() <= {"scale"}


def test_what_no_number_tells_apart_is_said() -> None:
    """A nanometre in metres, at the earth's radius."""
    T = np.diag([1e-9, 1e-9, 1e-9, 1.0])
    T[:3, 3] = FRAMES["earth-centred"][1]
    _, report = extract_mesh(ball, resolution=16, T_world_normalised=T)
    assert report.coincident > 0.9 * report.vertices and not report.topology.closed
    assert any(line.startswith("merged ") for line in mesh_lines(report))


def test_vertices_that_fall_together_are_one_in_the_topology() -> None:
    """A tetrahedron whose corner was pulled apart by less than a GLB keeps: two of six faces are gone."""
    corners = 0.9 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1 + 1e-9]])
    faces = np.array([[0, 2, 1], [0, 1, 4], [0, 4, 3], [0, 3, 2], [1, 2, 4], [2, 3, 4]], np.int32)
    assert meshes.topology_by_position(corners, faces) == (5, meshes.Topology(closed=True, bodies=1, euler=2))
    kept = stored_positions(Path("a.glb"), corners)
    assert meshes.topology_by_position(kept, faces) == (4, meshes.Topology(closed=True, bodies=1, euler=2))
    open_by_one = np.delete(faces, 0, axis=0)
    assert not meshes.topology_by_position(kept, open_by_one)[1].closed


def test_minus_zero_is_zero() -> None:
    vertices = np.array([[0.0, 0, 0], [-0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert meshes.topology_by_position(vertices, np.array([[0, 2, 3], [1, 3, 2]], np.int32))[0] == 3
