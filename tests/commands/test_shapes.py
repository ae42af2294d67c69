"""`tidr shapes`, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from solids import ball, box, opened, torus, turned, write

from taichi_idr.cli.main import run
from taichi_idr.meshes.mesh import topology, volume
from taichi_idr.meshes.reading import read_mesh

QUICK = ["--res", "48", "--arch", "cpu", "--set", "samples.pool=60000", "--set", "surface.places=2000"]
SMALL = ["--set", "network.width=32", "--set", "network.blocks=2", "--set", "network.code=4", "--steps", "200", *QUICK]


def test_a_mesh_comes_back_in_its_own_frame_and_unit(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    shape = box((100, 70, 40), (500, 20, -3000))
    file = write(tmp_path / "brick.stl", shape)
    assert run(["shapes", str(file), "--steps", "150", "--set", "schedule.points=4096", *QUICK]) == 0
    found = read_mesh(tmp_path / "runs/brick/mesh/brick.ply")
    for corner in (np.min, np.max):
        np.testing.assert_allclose(corner(found.vertices, axis=0), corner(shape.vertices, axis=0), atol=2)
    assert volume(found.vertices, found.faces) == pytest.approx(100 * 70 * 40, rel=0.05)
    assert topology(found.faces, len(found.vertices)).closed
    numbers = json.loads((tmp_path / "runs/brick/metrics.json").read_text())["brick"]
    assert numbers["iou"] > 0.95 and numbers["chamfer"] < 0.01
    told = capsys.readouterr().out
    assert "shapes    1: brick (12 faces)\n" in told and "brick     IoU 0.9" in told


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three shapes that lie in one folder."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "meshes").mkdir()
    write(folder / "meshes/a.ply", ball())
    write(folder / "meshes/b.obj", torus())
    write(folder / "meshes/c.off", box((1, 0.7, 0.4), (3, 0, 0)))
    (folder / "meshes/notes.txt").write_text("not a mesh")
    assert run(["shapes", str(folder / "meshes"), "--out", str(folder / "run"), *SMALL]) == 0
    return folder


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_a_space_of_shapes(several: Path) -> None:
    assert files_in(several / "run/mesh") == ["a.ply", "b.ply", "c.ply"]
    assert set(json.loads((several / "run/metrics.json").read_text())) == {"a", "b", "c"}
    assert 'preset = "latent"' in (several / "run/shapes.toml").read_text()


def test_a_run_is_asked_again_for_shapes_between_and_others(several: Path, capsys) -> None:
    options = ["--interpolate", "a,2", "--count", "3", "--sample", "2", "--res", "32", "--arch", "cpu"]
    assert run(["shapes", str(several / "run"), *options]) == 0
    between = [read_mesh(several / f"run/interpolated/a-c/{number:03d}.ply") for number in range(3)]
    middles = [mesh.vertices[:, 0].mean() for mesh in between]
    assert middles == pytest.approx([0, 1.5, 3], abs=0.4)  # from where the ball is to where the box is
    assert all(topology(mesh.faces, len(mesh.vertices)).closed for mesh in between)
    told = capsys.readouterr()
    assert (told.out + told.err).count("samples/00") == 2  # a code may have no surface, which is told


def test_a_run_is_meshed_again(several: Path) -> None:
    before = len(read_mesh(several / "run/mesh/a.ply").vertices)
    assert run(["shapes", "--out", str(several / "run"), "--res", "32", "--arch", "cpu"]) == 0
    assert len(read_mesh(several / "run/mesh/a.ply").vertices) < before


def test_a_run_goes_on_and_refuses_other_meshes_and_settings(several: Path, capsys) -> None:
    line = ["shapes", str(several / "meshes"), "--out", str(several / "run"), *SMALL]
    assert run([*line, "--steps", "203"]) == 0
    assert "latent, 203 steps" in capsys.readouterr().out
    assert (several / "run/state/00000203.tidr").is_file()
    assert run([*line, "--set", "network.code=5"]) == 65
    assert "other network.code; use the same" in capsys.readouterr().err
    assert run(["shapes", *(str(several / "meshes" / name) for name in ("a.ply", "b.obj")), *line[2:]]) == 65
    assert "other meshes" in capsys.readouterr().err
    assert run([*line, "--steps", "2", "--seed", "1", "--fresh"]) == 0
    assert files_in(several / "run/state") == ["00000002.tidr"]


def nan_mesh() -> str:
    return "OFF\n3 1 0\n0 0 0\nnan 0 0\n0 1 0\n3 0 1 2\n"


BAD = {
    "open.ply": (lambda path: write(path, opened(ball(), 0, 900)), "6 of its 1,920 edges are open"),
    "nan.off": (lambda path: path.write_text(nan_mesh()), "vertices that are not finite"),
    "empty.obj": (lambda path: path.write_text(""), "it has no triangles"),
    "empty.ply": (lambda path: path.write_bytes(b""), "the file has 0 bytes"),
    "words.stl": (lambda path: path.write_text("not a mesh at all"), "it has no triangles"),
    "photo.jpg": (lambda path: path.write_bytes(b"\xff\xd8"), "not a mesh"),
    "sheet.off": (lambda path: path.write_text("OFF\n3 2 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n3 2 1 0\n"), "have no area"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_has_no_inside_is_said_in_one_line(name: str, tmp_path: Path, capsys) -> None:
    make, why = BAD[name]
    make(tmp_path / name)
    assert run(["shapes", str(tmp_path / name), "--out", str(tmp_path / "new/out"), "--arch", "cpu"]) == 65
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and why in told and name in told
    assert not (tmp_path / "new").exists()


USAGE = {
    "{run} --steps 5": (2, "a run is asked again, not trained"),
    "{run} --interpolate a,d": (2, "no such shape (--interpolate d): choose of 0 a, 1 b, 2 c"),
    "{run} --interpolate 0,3": (2, "no such shape"),
    "{run} --interpolate 0": (2, "is not A,B"),
    "{meshes}/a.ply --sample 1": (2, "one shape has no codes"),
    "{meshes} --preset fast": (2, "too many shapes"),
    "{meshes}/d.ply": (66, "no such mesh"),
    "--out {meshes}": (66, "no run of shapes"),
    "{run} --out {meshes}": (2, "two runs"),
}


@pytest.mark.parametrize("line", USAGE)
def test_wrong_lines_are_said_in_one(line: str, several: Path, capsys) -> None:
    code, why = USAGE[line]
    words = line.format(run=several / "run", meshes=several / "meshes").split()
    assert run(["shapes", *words]) == code
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and why in told


def test_a_checkpoint_that_is_damaged_is_said(several: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "shapes.toml").write_text("")
    (tmp_path / "state/00000001.tidr").write_bytes(b"TIDRCKP1 and nothing")
    assert run(["shapes", str(tmp_path)]) == 65
    assert "no usable checkpoint" in capsys.readouterr().err
    (tmp_path / "state/00000001.tidr").unlink()
    assert run(["shapes", str(tmp_path)]) == 66


def test_faces_that_disagree_are_warned_of(tmp_path: Path, capsys) -> None:
    file = write(tmp_path / "odd.off", turned(ball(), slice(0, None, 7)))
    line = ["shapes", str(file), "--out", str(tmp_path / "run"), "--steps", "40", "--set", "schedule.points=4096"]
    assert run([*line, *QUICK]) == 0
    assert "faces do not agree" in capsys.readouterr().err
    assert json.loads((tmp_path / "run/metrics.json").read_text())["odd"]["iou"] > 0.95


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    file = write(tmp_path / "ball.ply", ball())
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); sys.argv[0] = 'tidr'; "
    code += "from taichi_idr.cli.main import main; main()"
    line = [str(file), "--out", str(tmp_path / "run"), *QUICK]
    words = [sys.executable, "-c", code, "shapes", *line, "--steps", "100000"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()  # the first line of progress
    process.send_signal(2)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped by SIGINT, checkpoint written" in told.splitlines()[-1]
    step = int(next((tmp_path / "run/state").iterdir()).stem)
    assert step >= 1 and run(["shapes", *line, "--steps", str(step + 1)]) == 0
