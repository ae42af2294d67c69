"""Meshes over time: which files, in what order, and whether they can be one body that moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from moving_meshes import ball, box, joined, turned_round, write_sequence

from taichi_idr.errors import BadInput, InputMissing
from taichi_idr.meshes.files import natural_key, sequence_files
from taichi_idr.meshes.mesh import Mesh, make_mesh, volume
from taichi_idr.meshes.sequences import MeshSequence, closed_mesh


def named(*meshes: Mesh) -> MeshSequence:
    return MeshSequence([f"{number}.ply" for number in range(len(meshes))], list(meshes))


def test_numbers_in_names_count_as_numbers(tmp_path: Path):
    folder = write_sequence(tmp_path / "many", [ball(1 + k / 10, subdivisions=1) for k in range(12)])
    (folder / "notes.txt").write_text("not a cloud")
    (folder / ".hidden.ply").write_bytes(b"")
    assert [path.name for path in sequence_files(folder)] == [f"frame{number}.ply" for number in range(12)]
    names = ["a.ply", "a2b1.ply", "a2b10.ply", "a10.ply", "b1.ply", "1.ply"]
    assert sorted(names, key=lambda name: natural_key(Path(name))) == ["1.ply", *names[1:4], names[0], "b1.ply"]


def test_clouds_are_frames_where_there_are_no_meshes(tmp_path: Path):
    for name in ("b10.xyz", "b9.npy", "readme.md"):
        (tmp_path / name).write_text("")
    assert [path.name for path in sequence_files(tmp_path)] == ["b9.npy", "b10.xyz"]


def test_times_are_even_and_the_box_holds_all_frames():
    found = named(ball(), ball(1, (2, 0, 0)), ball(2, (0, 0, 1)))
    assert found.times.tolist() == [0, 0.5, 1]
    low, high = found.box()
    np.testing.assert_allclose([low, high], [[-2, -2, -1], [3, 2, 3]], atol=1e-2)


def test_frames_correspond_where_their_faces_are_the_same():
    assert named(ball(), ball(2)).unlike_first() is None
    assert named(ball(), ball(2), ball(2, subdivisions=2)).unlike_first() == "2.ply"
    shuffled = make_mesh(ball().vertices, np.ascontiguousarray(np.roll(ball().faces, 1, axis=0)))
    assert named(ball(), shuffled).unlike_first() == "1.ply"


def test_what_may_be_in_another_frame_or_unit_is_doubted():
    assert named(ball(), ball(1, (1.5, 0, 0)), ball(2.5)).doubts() == []
    (apart,) = named(ball(), ball(1, (2.1, 0, 0))).doubts()
    assert apart.startswith("0.ply and 1.ply: their boxes have nothing in common")
    (larger,) = named(ball(), ball(), ball(1000)).doubts()
    assert larger.startswith("1.ply and 2.ply: one is 1e+03 times as large as the other")


def test_faces_that_look_inward_are_turned_round(tmp_path: Path):
    files = sequence_files(write_sequence(tmp_path / "in", [ball(), turned_round(ball())]))
    assert all(volume(mesh.vertices, mesh.faces) > 4 for mesh in map(closed_mesh, files))


@pytest.mark.parametrize("kind", ["open", "one turned", "nan"])
def test_a_mesh_without_an_inside_is_named(kind: str, tmp_path: Path):
    whole = ball()
    if kind == "open":
        wrong = make_mesh(whole.vertices, whole.faces[1:])
    elif kind == "one turned":
        wrong = make_mesh(whole.vertices, np.concatenate([whole.faces[:1, ::-1], whole.faces[1:]]))
    else:
        wrong = make_mesh(np.where(np.arange(len(whole.vertices))[:, None] == 7, np.nan, whole.vertices), whole.faces)
    (path,) = write_sequence(tmp_path / "in", [wrong]).iterdir()
    with pytest.raises(BadInput, match=r"\(.*frame0.ply\)"):
        closed_mesh(path)


def test_vertices_of_their_own_for_each_face_are_closed_all_the_same(tmp_path: Path):
    """As STL has them."""
    whole = joined(ball(), box((1, 1, 1)))
    apart = make_mesh(
        whole.vertices[whole.faces].reshape(-1, 3), np.arange(3 * len(whole.faces), dtype=np.int32).reshape(-1, 3)
    )
    (path,) = write_sequence(tmp_path / "in", [apart]).iterdir()
    assert len(closed_mesh(path).faces) == len(whole.faces)


def test_folders_without_a_sequence_are_refused(tmp_path: Path):
    with pytest.raises(InputMissing, match="no such folder"):
        sequence_files(tmp_path / "none")
    with pytest.raises(InputMissing, match="no frames"):
        sequence_files(tmp_path)
    write_sequence(tmp_path, [ball()])
    with pytest.raises(BadInput, match=r"frame0\.ply alone shows no motion"):
        sequence_files(tmp_path)
