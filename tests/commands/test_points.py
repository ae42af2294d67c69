"""`tidr points`, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import point_clouds
import pytest

from taichi_idr.cli.main import run
from taichi_idr.clouds.cloud import Cloud
from taichi_idr.meshes.reading import read_mesh

QUICK = ["--steps", "60", "--res", "32", "--arch", "cpu", "--set", "geometry.levels=4", "--set", "cloud.lattice=64"]


def test_a_cloud_becomes_a_mesh_and_a_summary(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    ball = point_clouds.sphere(3000, np.random.default_rng(0), 250.0)
    path = point_clouds.write_ply(
        tmp_path / "ball.ply", Cloud(ball.points + 1000, None, np.full((3000, 3), 7, np.uint8))
    )
    assert run(["points", str(path), *QUICK]) == 0
    mesh = read_mesh(tmp_path / "runs/ball/mesh.ply")
    radius = np.linalg.norm(mesh.vertices - 1000, axis=1)
    assert np.abs(radius - 250).mean() < 5
    told = capsys.readouterr().out
    assert "points    3,000, with colours\n" in told and "watertight and manifold, 1 body" in told
    assert (tmp_path / "runs/ball/summary.txt").read_text() == told


@pytest.mark.parametrize("preset", ["igr", "sal"])
def test_published_presets_at_small_size(preset: str, tmp_path: Path) -> None:
    path = point_clouds.write_ply(tmp_path / "ball.ply", point_clouds.sphere(500, np.random.default_rng(0)))
    small = ["--set", "geometry.width=32", "--set", "samples.surface=256", "--steps", "40", "--res", "24"]
    assert run(["points", str(path), "--preset", preset, "--out", str(tmp_path / "out"), "--arch", "cpu", *small]) == 0
    assert (tmp_path / "out/mesh.ply").is_file()


WRONG = {
    "three.xyz": ("0 0 0\n1 0 0\n0 1 0\n", "too few points"),
    "nan.xyz": ("nan nan nan\n" * 20, "no points"),
    "place.xyz": ("1 2 3\n" * 20, "all of them lie in one place"),
    "plane.xyz": ("".join(f"{i % 7} {i // 7} 1\n" for i in range(49)), "all of them lie in one plane"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_has_no_surface_is_said_in_one_line(name: str, tmp_path: Path, capsys) -> None:
    text, why = WRONG[name]
    (tmp_path / name).write_text(text)
    assert run(["points", str(tmp_path / name), "--out", str(tmp_path / "new/out")]) == 65
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and why in told
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("count", [10, 40])
def test_a_handful_of_points_is_enough(count: int, tmp_path: Path) -> None:
    path = point_clouds.write_ply(tmp_path / "few.ply", point_clouds.sphere(count, np.random.default_rng(1)))
    assert run(["points", str(path), "--out", str(tmp_path / "out"), *QUICK]) == 0
    size = np.ptp(read_mesh(tmp_path / "out/mesh.ply").vertices, axis=0)
    assert (size > 0.8).all() and (size < 3).all()


def test_ctrl_c_ends_it_in_one_line(tmp_path: Path) -> None:
    path = point_clouds.write_ply(tmp_path / "ball.ply", point_clouds.sphere(500, np.random.default_rng(0)))
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); sys.argv[0] = 'tidr'; "
    code += "from taichi_idr.cli.main import main; main()"
    line = [sys.executable, "-c", code, "points", str(path), "--out", str(tmp_path / "out"), "--steps", "100000"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    while "spacing" not in process.stdout.readline():
        pass
    process.stderr.readline()  # the first line of progress
    process.send_signal(2)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.splitlines()[-1] == "tidr: error: stopped by SIGINT"
    assert not (tmp_path / "out/mesh.ply").exists()
