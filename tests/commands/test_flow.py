"""`tidr flow`, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import point_clouds
import pytest
from moving_meshes import ball, write_sequence
from PIL import features

from taichi_idr.cli.main import run
from taichi_idr.clouds.cloud import Cloud
from taichi_idr.measures.surfaces import sample_surface
from taichi_idr.meshes.mesh import make_mesh
from taichi_idr.meshes.reading import read_mesh

QUICK = ["--steps", "120", "--res", "32", "--film", "3", "--arch", "cpu", "--set", "schedule.rate=5e-3"]
QUICK += ["--set", "occupancy.width=64", "--set", "occupancy.blocks=2", "--set", "velocity.width=32"]
QUICK += ["--set", "velocity.blocks=2", "--set", "samples.per_frame=2000", "--set", "samples.later=256"]


def sliding(count: int, unit: float = 1.0, subdivisions: int = 3) -> list:
    return [ball(0.5 * unit, (0.6 * unit * t + 100 * unit, 0, 0), subdivisions) for t in np.linspace(0, 1, count)]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_meshes_become_one_that_moves(tmp_path: Path, monkeypatch, capsys) -> None:
    """FLOW-4: in the input's frame and unit, the same vertices with the same colours at all times."""
    monkeypatch.chdir(tmp_path)
    write_sequence(tmp_path / "ball", sliding(3, unit=1000))
    assert run(["flow", "ball", *QUICK, "--frames", "5"]) == 0
    out = tmp_path / "runs/ball"
    assert sorted(path.name for path in out.iterdir()) == [
        "film.mp4",
        "flow.toml",
        "frames.csv",
        "meshes",
        "summary.txt",
    ]
    found = [read_mesh(out / f"meshes/{number:03d}.ply") for number in range(5)]
    assert not (out / "meshes/005.ply").exists()
    for mesh in found:
        assert np.array_equal(mesh.faces, found[0].faces)
    middles = np.array([mesh.vertices.mean(axis=0) for mesh in found])
    np.testing.assert_allclose(middles[[0, -1]], [[100_000, 0, 0], [100_600, 0, 0]], atol=120)
    assert (np.diff(middles[:, 0]) > 50).all()
    header = (out / "meshes/000.ply").read_bytes()[:500]
    assert b"property uchar red" in header
    told, noticed = capsys.readouterr()
    assert "warning" not in noticed
    assert "frames    3, frame0.ply to frame2.ply, the same vertices" in told and "5 times" in told
    assert (out / "summary.txt").read_text() == told
    rows = (out / "frames.csv").read_text().splitlines()
    assert rows[0] == "file,time,iou,correspondence_error" and len(rows) == 4
    assert run(["flow", "ball", *QUICK, "--steps", "60", "--film", "0", "--correspondences"]) == 0
    assert len(list((out / "meshes").iterdir())) == 3  # those of the run before are gone


def refused(folder: Path, capsys, *more: str) -> str:
    """The line that says why; nothing is left of the run."""
    out = folder.parent / "new/out"
    assert run(["flow", str(folder), "--out", str(out), *QUICK, *more]) == 65
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert not (folder.parent / "new").exists()
    return told


def test_what_is_no_sequence_is_said_in_one_line(tmp_path: Path, capsys) -> None:
    whole = ball(subdivisions=2)
    wrong = {
        "one": ([whole], "frame0.ply alone shows no motion"),
        "open": ([whole, make_mesh(whole.vertices, whole.faces[2:])], "mesh is not closed"),
        "nan": ([whole, make_mesh(whole.vertices * [1, np.nan, 1], whole.faces)], "vertices that are not finite"),
    }
    for name, (meshes, why) in wrong.items():
        assert why in refused(write_sequence(tmp_path / name, meshes), capsys)
    (tmp_path / "clouds").mkdir()
    for name in ("0.xyz", "1.xyz"):
        (tmp_path / "clouds" / name).write_text("".join(f"{k % 7} {k // 7} 1\n" for k in range(49)))
    told = refused(tmp_path / "clouds", capsys)
    assert "0.xyz" in told and "all of them lie in one plane" in told


def test_a_frame_that_is_not_explained_is_warned_of(tmp_path: Path, capsys) -> None:
    """Only the ball of the first two frames can be followed: the third is a hundred times as small."""
    folder = write_sequence(tmp_path / "in", [*sliding(2), ball(0.005, (100.6, 0, 0))])
    assert run(["flow", str(folder), "--out", str(tmp_path / "out"), *QUICK, "--film", "0"]) == 0
    told = capsys.readouterr().err
    assert "one is 100 times as large as the other" in told
    assert "warning: frame2.ply is not explained: its IoU is 0.0" in told


def test_the_input_is_never_replaced(tmp_path: Path, capsys) -> None:
    folder = write_sequence(tmp_path / "walk/meshes", sliding(2), "{:03d}.ply")
    before = [path.read_bytes() for path in sorted(folder.iterdir())]
    assert run(["flow", str(folder), "--out", str(tmp_path / "walk"), *QUICK]) == 2
    assert "the result would replace the input" in capsys.readouterr().err
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == before


def test_without_a_film_the_rest_is_written(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: False)
    folder = write_sequence(tmp_path / "in", sliding(2))
    assert run(["flow", str(folder), "--out", str(tmp_path / "out"), *QUICK, "--steps", "60"]) == 0
    assert "warning: cannot write films" in capsys.readouterr().err
    assert (tmp_path / "out/summary.txt").is_file() and not (tmp_path / "out/film.mp4").exists()


def test_clouds_are_followed_too(tmp_path: Path, capsys) -> None:
    """FLOW-2: labels of frames that are points, with strays among them, PLY files without faces included."""
    generator = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for k, mesh in enumerate(sliding(3, unit=10)):
        cloud = sample_surface(mesh, 2000, generator)[0] + generator.normal(0, 0.02, (2000, 3))
        point_clouds.write_ply(tmp_path / f"in/{k}.ply", Cloud(np.concatenate([cloud, cloud[:20] + 5])))
    assert run(["flow", str(tmp_path / "in"), "--out", str(tmp_path / "out"), *QUICK, "--film", "0"]) == 0
    first, last = (read_mesh(tmp_path / f"out/meshes/{k:03d}.ply").vertices.mean(axis=0) for k in (0, 2))
    np.testing.assert_allclose(first, [1000, 0, 0], atol=1.2)
    np.testing.assert_allclose(last, [1006, 0, 0], atol=1.2)
    assert "vertices differ" in capsys.readouterr().out


def test_correspondences_of_unlike_meshes_are_refused(tmp_path: Path, capsys) -> None:
    """FLOW-2: L_corr needs the same vertices."""
    meshes = [*sliding(2), *sliding(1, subdivisions=2)]
    told = refused(write_sequence(tmp_path / "in", meshes), capsys, "--correspondences")
    assert "no correspondences" in told and "frame2.ply): its vertices and faces are not those of frame0.ply" in told
    assert "no correspondences" in refused(tmp_path / "in", capsys, "--set", "loss.correspondence_weight=2")


def test_frames_of_another_unit_are_warned_of(tmp_path: Path, capsys) -> None:
    folder = write_sequence(tmp_path / "in", [*sliding(2), *sliding(1, unit=0.01)])
    assert run(["flow", str(folder), "--out", str(tmp_path / "out"), *QUICK, "--steps", "1"]) in (0, 76)
    told = capsys.readouterr().err
    assert "warning: frame1.ply and frame2.ply: their boxes have nothing in common; are they in one frame" in told


def test_too_few_steps_end_with_the_code_of_no_surface(tmp_path: Path, capsys) -> None:
    folder = write_sequence(tmp_path / "in", [ball(0.05, (x, x, x), 2) for x in (0.0, 1.0)])
    assert run(["flow", str(folder), "--out", str(tmp_path / "out"), *QUICK, "--steps", "1"]) == 76
    assert "take more --steps" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
