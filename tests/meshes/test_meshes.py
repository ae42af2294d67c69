"""Facts about meshes against shapes whose answers are known; files against another reader."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from taichi_idr.errors import BadInput, ExitCode, InputMissing
from taichi_idr.meshes import mesh as meshes
from taichi_idr.meshes.glb import glb_bytes
from taichi_idr.meshes.obj import obj_bytes
from taichi_idr.meshes.ply import ply_bytes, read_extraction
from taichi_idr.meshes.reading import read_mesh, read_shown
from taichi_idr.meshes.writing import write_mesh

FLOAT32 = 1e-6  # normals, and the positions of a GLB


def box(shift: float = 0.0, side: float = 1.0, inward: bool = False) -> tuple[np.ndarray, np.ndarray]:
    shape = trimesh.creation.box(extents=(side,) * 3)
    faces = np.asarray(shape.faces, np.int32)
    return np.asarray(shape.vertices) + shift, faces[:, ::-1] if inward else faces


def together(*parts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    faces = [faces + start for (_, faces), start in zip(parts, starts, strict=False)]
    return np.concatenate([vertices for vertices, _ in parts]), np.concatenate(faces).astype(np.int32)


@pytest.fixture
def coloured() -> meshes.Mesh:
    ball = trimesh.creation.icosphere(2)
    mesh = meshes.make_mesh(np.asarray(ball.vertices) * 3 + 5, np.asarray(ball.faces, np.int32))
    colours = np.random.default_rng(0).integers(0, 256, mesh.vertices.shape).astype(np.uint8)
    return meshes.Mesh(mesh.vertices, mesh.faces, mesh.normals, colours)


def test_topology_of_box_and_torus() -> None:
    vertices, faces = box()
    assert meshes.topology(faces, len(vertices)) == meshes.Topology(closed=True, bodies=1, euler=2)
    torus = trimesh.creation.torus(1.0, 0.3)
    found = meshes.topology(np.asarray(torus.faces, np.int32), len(torus.vertices))
    assert found.closed and found.handles == 1


@pytest.mark.parametrize("fault", ["hole", "flipped", "doubled"])
def test_faults_are_not_closed(fault: str) -> None:
    vertices, faces = box()
    faces = {
        "hole": faces[1:],
        "flipped": np.concatenate([faces[:1, ::-1], faces[1:]]),
        "doubled": np.concatenate([faces, faces]),
    }[fault]
    found = meshes.topology(faces, len(vertices))
    assert not found.closed
    assert found.euler == len(vertices) - 18 + len(faces)


def test_area_volume_and_normals() -> None:
    vertices, faces = box(side=2.0)
    assert meshes.area(vertices, faces) == pytest.approx(24)
    assert meshes.volume(vertices + 100, faces) == pytest.approx(8)
    normals = meshes.make_mesh(vertices, faces).normals
    assert np.all((normals * vertices).sum(axis=1) > 0)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=FLOAT32)


def test_similarity_moves_vertices_and_turns_normals(coloured: meshes.Mesh) -> None:
    turn = np.asarray(trimesh.transformations.rotation_matrix(0.7, [1, 2, 3]), np.float64)
    turn[:3, :3] *= 4
    turn[:3, 3] = 1, -2, 3
    moved = meshes.transformed(coloured, turn)
    again = meshes.make_mesh(moved.vertices, moved.faces)
    np.testing.assert_allclose(moved.normals, again.normals, atol=FLOAT32)
    assert meshes.volume(moved.vertices, moved.faces) == pytest.approx(
        64 * meshes.volume(coloured.vertices, coloured.faces)
    )


def test_ply_is_read_back_by_another_reader(coloured: meshes.Mesh) -> None:
    read: Any = trimesh.load(io.BytesIO(ply_bytes(coloured)), file_type="ply", process=False)
    np.testing.assert_array_equal(read.vertices, coloured.vertices)
    np.testing.assert_array_equal(read.faces, coloured.faces)
    np.testing.assert_array_equal(read.visual.vertex_colors[:, :3], coloured.colours)
    np.testing.assert_allclose(read.vertex_normals, coloured.normals, atol=FLOAT32)


def test_obj_is_read_back_by_another_reader(coloured: meshes.Mesh) -> None:
    read: Any = trimesh.load(io.BytesIO(obj_bytes(coloured)), file_type="obj", process=False)
    np.testing.assert_array_equal(read.vertices, coloured.vertices)
    np.testing.assert_array_equal(read.faces, coloured.faces)
    np.testing.assert_array_equal(read.visual.vertex_colors[:, :3], coloured.colours)
    np.testing.assert_allclose(read.vertex_normals, coloured.normals, atol=FLOAT32)


def test_obj_has_no_more_digits_than_it_needs() -> None:
    vertices = np.array([[0.1, -2.0, 5e-300], [1 / 3, 1e300, 0.0], [500000.12345678906, 1.5, 1e-9]])
    plain = meshes.Mesh(vertices, np.array([[0, 1, 2]], np.int32), np.eye(3, dtype=np.float32))
    assert obj_bytes(plain).decode().splitlines() == [
        "v 0.1 -2.0 5e-300", "v 0.3333333333333333 1e+300 0.0", "v 500000.12345678906 1.5 1e-09",
        "vn 1 0 0", "vn 0 1 0", "vn 0 0 1", "f 1//1 2//2 3//3",
    ]  # fmt: skip


def test_glb_is_read_back_in_linear_light(coloured: meshes.Mesh) -> None:
    scene = trimesh.load_scene(io.BytesIO(glb_bytes(coloured)), file_type="glb", process=False)
    (read,) = scene.geometry.values()
    np.testing.assert_allclose(scene.to_mesh().vertices, coloured.vertices, rtol=FLOAT32)
    np.testing.assert_array_equal(read.faces, coloured.faces)
    assert coloured.colours is not None
    share = coloured.colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    colours = read.visual.vertex_attributes["color"][:, :3]
    np.testing.assert_allclose(colours / 65535, linear, atol=1 / 65535)


@pytest.mark.parametrize("suffix", [".glb", ".ply"])
def test_colours_at_vertices_are_shown_as_they_were_written(coloured: meshes.Mesh, tmp_path: Path, suffix: str) -> None:
    write_mesh(tmp_path / f"mesh{suffix}", coloured)
    shown = read_shown(tmp_path / f"mesh{suffix}")
    assert shown.pictures == []
    assert np.array_equal(shown.mesh.colours, coloured.colours)


def test_mesh_without_colours_is_written(coloured: meshes.Mesh) -> None:
    plain = meshes.make_mesh(coloured.vertices, coloured.faces)
    for kind, data in (("ply", ply_bytes(plain)), ("glb", glb_bytes(plain)), ("obj", obj_bytes(plain))):
        read = trimesh.load_scene(io.BytesIO(data), file_type=kind, process=False).to_mesh()
        np.testing.assert_array_equal(read.faces, plain.faces)


@pytest.mark.fault(58)
def test_read_mesh(tmp_path: Path, coloured: meshes.Mesh) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(ply_bytes(coloured))
    read = read_mesh(path)
    np.testing.assert_array_equal(read.faces, coloured.faces)
    obj = tmp_path / "a.obj"
    obj.write_text("mtllib ../../secret.mtl\nusemtl x\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert len(read_mesh(obj).faces) == 1


PLY = "ply\nformat ascii 1.0\nelement vertex {v}\nproperty float x\nproperty float y\nproperty float z\n"
PLY += "element face {f}\nproperty list uchar int vertex_indices\nend_header\n"
DOUBLE_PLY = PLY.replace("float", "double")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a mesh",
        PLY.format(v=4_000_000_000, f=1) + "0 0 0\n",
        PLY.format(v=3, f=1) + "0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n",
        PLY.format(v=3, f=1) + "0 0 nan\n1 0 0\n0 1 0\n3 0 1 2\n",
        PLY.format(v=3, f=0) + "0 0 0\n1 0 0\n0 1 0\n",
        PLY.format(v=3, f=1) + "5 5 5\n5 5 5\n5 5 6\n3 0 1 2\n",
        DOUBLE_PLY.format(v=3, f=1) + "0 0 0\n1e300 0 0\n0 1 0\n3 0 1 2\n",
        DOUBLE_PLY.format(v=3, f=1) + "0 0 0\n1e-300 0 0\n0 1e-300 0\n3 0 1 2\n",
    ],
    ids=["empty", "text", "huge", "beyond", "nan", "no-faces", "no-area", "vast", "minute"],
)
@pytest.mark.fault(59)
def test_bad_ply_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.ply"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"mesh \(.*bad\.ply\)"):
        read_mesh(path)


@pytest.mark.parametrize("text", ["v 1\nv 2\nv 3\nf 1 2 3\n", "v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "v 0 0 0\nf 1 1\n"])
@pytest.mark.fault(59)
def test_obj_of_ragged_lines_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.obj"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"mesh \(.*bad\.obj\)"):
        read_mesh(path)


def test_missing_mesh_and_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(InputMissing) as missing:
        read_mesh(tmp_path / "none.ply")
    assert missing.value.exit_code == ExitCode.INPUT_MISSING
    with pytest.raises(BadInput, match="not a mesh"):
        read_mesh(tmp_path / "a.txt")


@pytest.mark.parametrize("suffix", [".ply", ".glb", ".obj"])
def test_every_format_is_written_whole_and_says_what_it_was_made_of(
    suffix: str, coloured: meshes.Mesh, tmp_path: Path
) -> None:
    """Which resolution a mesh has, and of which step it is, decides whether it may be measured."""
    file = tmp_path / f"a{suffix}"
    write_mesh(file, replace(coloured, extraction=meshes.Extraction(resolution=64, step=1200)))
    assert trimesh.load_scene(file, process=False).to_mesh().is_watertight
    data = file.read_bytes()
    if suffix == ".ply":
        assert b"\ncomment resolution 64\ncomment step 1200\ncomment bodies main\n" in data
    elif suffix == ".obj":
        assert data.startswith(b"# resolution 64\n# step 1200\n# bodies main\nv ")
    else:
        length = int.from_bytes(data[12:16], "little")
        assert json.loads(data[20 : 20 + length])["asset"]["extras"] == {
            "resolution": 64,
            "step": 1200,
            "bodies": "main",
        }


def test_what_a_file_says_of_itself_is_read_without_its_triangles(coloured: meshes.Mesh, tmp_path: Path) -> None:
    file, known = tmp_path / "a.ply", meshes.Extraction(resolution=64, step=1200)
    assert read_extraction(file) is None  # there is none
    write_mesh(file, replace(coloured, extraction=known))
    assert read_extraction(file) == known
    cut = tmp_path / "cut.ply"
    cut.write_bytes(file.read_bytes()[:400])
    assert read_extraction(cut) == known
    for words in (b"comment resolution 64", b"comment resolution -1\ncomment step 5", b"comment step 1e9"):
        cut.write_bytes(b"ply\n" + words + b"\nend_header\n")
        assert read_extraction(cut) is None


@pytest.mark.parametrize("bodies", [1, 3, "all", "main"])
def test_what_was_asked_for_is_read_back(bodies: meshes.BodyCount, coloured: meshes.Mesh, tmp_path: Path) -> None:
    known = meshes.Extraction(64, 1200, bodies)
    write_mesh(tmp_path / "a.ply", replace(coloured, extraction=known))
    assert read_extraction(tmp_path / "a.ply") == known


def test_a_file_that_does_not_tell_bodies_has_the_largest(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(b"ply\ncomment resolution 64\ncomment step 1200\nend_header\n")
    assert read_extraction(tmp_path / "a.ply") == meshes.Extraction(64, 1200, 1)
