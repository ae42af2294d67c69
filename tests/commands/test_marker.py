"""`tidr mesh --marker`: the unit of a run, from a printed marker that its photos show."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ball_run import RADIUS, SCALE, BallRun, T_world_normalised, make_ball_run
from marked_table import SIZE, Printed, photograph, projections, views_of_table
from PIL import Image

from taichi_idr.cameras.pinhole import cameras_from_projections, shrunk
from taichi_idr.capture.formats.matrices import write_idr_cameras
from taichi_idr.cli.main import run
from taichi_idr.commands.mesh import mesh_run
from taichi_idr.errors import ExitCode, UsageError
from taichi_idr.meshes.reading import read_mesh
from taichi_idr.meshes.scale import parsed_marker
from taichi_idr.meshes.wanted import Placing
from taichi_idr.methods.fast.settings import FastConfig

pytest.importorskip("cv2")
SIDE = 0.4  # of the marker, in normalised units


@pytest.fixture
def ball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime) -> BallRun:
    """Its photos are of a table, and were fitted at half of their size."""
    made = make_ball_run(tmp_path)
    capture = tmp_path / "table"
    (capture / "mask").mkdir(parents=True)
    views = views_of_table(4, capture / "image")
    photograph(views, [Printed(side=SIDE)])
    for view in views:
        Image.new("L", SIZE, 255).save(capture / "mask" / view.image.name)
    cameras = cameras_from_projections(projections(views))
    write_idr_cameras(capture / "cameras.npz", cameras, T_world_normalised())
    half = {"cameras": shrunk(cameras, 2), "config": FastConfig(downscale=2)}
    made.loaded = replace(made.loaded, capture_folder=capture, **half)
    monkeypatch.setattr("taichi_idr.runs.loading.load_run", lambda run: made.loaded)
    return BallRun(made.folder, capture, made.loaded)


def test_a_marker_tells_the_unit(ball: BallRun, tmp_path: Path, capsys) -> None:
    out = tmp_path / "a.ply"
    mesh_run(ball.folder, resolution=64, out=out, placing=Placing(marker=parsed_marker("5cm")))
    mm = 50 / SIDE  # a normalised unit
    assert np.ptp(read_mesh(out).vertices, axis=0) == pytest.approx(2 * RADIUS * mm, rel=0.01)
    said = capsys.readouterr().out
    assert "marker    aruco4x4 7 in 4 of 4 photos, corners to 0." in said
    unit, share = said.partition("a world unit is ")[2].split("\n")[0].split(" mm, to ")
    assert float(unit) == pytest.approx(mm / SCALE, rel=0.002) and float(share.rstrip("%")) < 0.2


def test_the_option_does_the_same(ball: BallRun, tmp_path: Path, capsys) -> None:
    options = ["--res", "32", "--marker", "50mm", "--marker-kind", "aruco4x4", "--out", str(tmp_path / "a.ply")]
    assert run(["mesh", str(ball.folder), "--arch", "cpu", *options]) == ExitCode.DONE
    assert "scale     a world unit is 1.2" in capsys.readouterr().out


def test_photos_without_markers_are_refused(ball: BallRun, capsys) -> None:
    views = views_of_table(4, ball.capture / "image")
    photograph(views, [Printed(side=SIDE)])
    command = ["mesh", str(ball.folder), "--res", "32", "--arch", "cpu", "--marker", "50mm"]
    assert run([*command, "--marker-kind", "apriltag36h11"]) == ExitCode.BAD_INPUT
    assert "no marker found" in (said := capsys.readouterr().err) and "4 photos show none of apriltag36h11" in said
    photograph(views[1:], [])
    assert run(command) == ExitCode.BAD_INPUT
    assert "1 of 4 photos show aruco4x4 7; two photos or more" in (said := capsys.readouterr().err)
    assert said.count("\n") == 1 and not (ball.folder / "mesh" / "mesh.ply").exists()


def test_photos_that_have_gone(ball: BallRun, capsys) -> None:
    shutil.rmtree(ball.capture)
    assert run(["mesh", str(ball.folder), "--arch", "cpu", "--marker", "50mm"]) == ExitCode.INPUT_MISSING
    assert "no capture" in capsys.readouterr().err


def test_a_missing_extra_is_named(ball: BallRun, no_opencv, capsys) -> None:
    no_opencv()
    assert run(["mesh", str(ball.folder), "--arch", "cpu", "--marker", "50mm"]) == ExitCode.UNAVAILABLE
    assert "pip install 'taichi-idr[photos]'" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["", "50", "0mm", "-5mm", "5ft", "nanmm", "mm", "5 0mm"])
def test_sizes_that_are_none(size: str) -> None:
    with pytest.raises(UsageError, match="no length"):
        parsed_marker(size)


def test_options_that_contradict_each_other(ball: BallRun, capsys) -> None:
    for options in (
        ["--marker", "50mm", "--scale-points", "0,0,0 0,0,1 2mm"],
        ["--marker-kind", "aruco4x4"],
        ["--marker", "tall"],
    ):
        assert run(["mesh", str(ball.folder), *options]) == ExitCode.USAGE
        assert capsys.readouterr().err.count("\n") == 1
