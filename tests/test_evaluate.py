"""Measurements of a run whose true values are known, and the files and lines that say them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from ball_run import RADIUS, SCALE, SHIFT, BallRun, T_world_normalised, make_ball_run
from scipy.spatial.transform import Rotation

from taichi_idr import evaluate, extract, meshes
from taichi_idr.capture import write_idr_cameras
from taichi_idr.errors import BadInput, InputMissing

EIGHT_BIT_PSNR = 50.0  # dB; photos are rounded to 1/255, which alone gives 58.9 dB
SAMPLES = 5_000  # of the meshes
PICTURE_KEYS = {"psnr_db", "psnr_hit_db", "missed_fraction", "ssim", "mask_iou", "heldout_psnr_db"}
MESH_KEYS = {"accuracy", "completeness", "chamfer", "fscore", "normal_error_deg"}


def use(run: BallRun, monkeypatch: pytest.MonkeyPatch) -> BallRun:
    for module in (evaluate, extract):
        monkeypatch.setattr(module, "load_run", lambda _: run.loaded)
    monkeypatch.setattr(evaluate, "mesh_distance", partial(evaluate.mesh_distance, samples=SAMPLES))
    return run


@pytest.fixture
def ball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BallRun:
    return use(make_ball_run(tmp_path), monkeypatch)


@pytest.fixture
def small_ball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BallRun:
    """A fit that came out too small: radius 0.4 instead of 0.5."""
    return use(make_ball_run(tmp_path, radius=0.4), monkeypatch)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    shape = trimesh.creation.icosphere(5, RADIUS * SCALE)
    mesh = meshes.make_mesh(np.asarray(shape.vertices) + SHIFT, np.asarray(shape.faces, np.int32))
    (tmp_path / "truth.ply").write_bytes(meshes.ply_bytes(mesh))
    return tmp_path / "truth.ply"


def test_exact_run_has_exact_numbers(ball: BallRun, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = evaluate.evaluate_run(ball.folder, gt_mesh=truth)
    assert set(numbers) == PICTURE_KEYS | MESH_KEYS
    assert numbers["psnr_db"] > EIGHT_BIT_PSNR and numbers["heldout_psnr_db"] > EIGHT_BIT_PSNR
    assert numbers["mask_iou"] > 0.999 and numbers["missed_fraction"] < 1e-3 and numbers["ssim"] > 0.999
    assert numbers["chamfer"] < 2e-3 * SCALE  # facets of both meshes
    assert numbers["fscore"] == 1
    assert json.loads((ball.folder / "report" / "eval.json").read_text()) == numbers
    assert f"PSNR {numbers['psnr_db']:.2f} dB" in capsys.readouterr().out.splitlines()


def test_too_small_a_ball_is_measured_so(small_ball: BallRun, truth: Path) -> None:
    numbers = evaluate.evaluate_run(small_ball.folder, gt_mesh=truth)
    assert numbers["chamfer"] == pytest.approx(0.1 * SCALE, rel=0.01)
    assert numbers["mask_iou"] == pytest.approx(0.64, abs=0.03)  # (0.4 / 0.5)^2, seen from 2.5
    assert numbers["missed_fraction"] == pytest.approx(1 - numbers["mask_iou"], abs=1e-6)
    assert numbers["psnr_hit_db"] > numbers["psnr_db"] + 5


def test_the_runs_own_mesh_is_measured_while_it_is_new(ball: BallRun, truth: Path) -> None:
    other = trimesh.creation.icosphere(4, 2 * RADIUS * SCALE)
    mesh = meshes.make_mesh(np.asarray(other.vertices) + SHIFT, np.asarray(other.faces, np.int32))
    file = ball.folder / "mesh" / "mesh.ply"
    file.parent.mkdir()
    file.write_bytes(meshes.ply_bytes(mesh))
    assert evaluate.evaluate_run(ball.folder, gt_mesh=truth)["chamfer"] == pytest.approx(RADIUS * SCALE, rel=0.01)
    (ball.folder / "checkpoints" / "00000002.tidr").write_bytes(b"")
    assert evaluate.evaluate_run(ball.folder, gt_mesh=truth)["chamfer"] < 0.01 * SCALE


def test_a_run_in_another_world_frame_is_aligned_by_its_cameras(ball: BallRun, truth: Path, tmp_path: Path) -> None:
    """The fit's poses are the true ones moved by a similarity; mesh and held-out views must come out as
    before."""
    moved = np.eye(4)
    moved[:3, :3] = 3 * Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    moved[:3, 3] = 7, 8, 9
    write_idr_cameras(tmp_path / "true.npz", ball.loaded.cameras, T_world_normalised())
    object.__setattr__(ball.loaded, "T_world_normalised", moved @ T_world_normalised())
    numbers = evaluate.evaluate_run(ball.folder, gt_mesh=truth, gt_cameras=tmp_path / "true.npz")
    assert numbers["camera_rotation_deg"] < 1e-4 and numbers["camera_centre"] < 1e-4 * SCALE
    assert numbers["chamfer"] < 2e-3 * SCALE
    assert numbers["heldout_psnr_db"] > EIGHT_BIT_PSNR


def test_wrong_cameras_are_measured(ball: BallRun, tmp_path: Path) -> None:
    cameras = ball.loaded.cameras
    shift = torch.zeros_like(cameras.centres)
    shift[::2, 2] = 0.02
    write_idr_cameras(tmp_path / "true.npz", replace(cameras, centres=cameras.centres + shift), T_world_normalised())
    numbers = evaluate.evaluate_run(ball.folder, gt_cameras=tmp_path / "true.npz")
    assert numbers["camera_rotation_deg"] < 1e-4
    assert numbers["camera_centre"] == pytest.approx(0.01 * SCALE, rel=0.1)  # the alignment shares what half are off


def test_fewer_and_smaller_views(ball: BallRun) -> None:
    whole = evaluate.evaluate_run(ball.folder)
    some = evaluate.evaluate_run(ball.folder, max_views=2, downscale=2)
    assert some["mask_iou"] > 0.98  # measured 1.0; half a pixel off would be 0.95
    assert some["psnr_db"] > 20  # measured 23.3: averaged photos against rays through the middle of the pixels
    assert set(some) == set(whole) == PICTURE_KEYS


def test_capture_without_heldout_has_no_such_number(ball: BallRun, tmp_path: Path) -> None:
    (ball.capture / "heldout").rename(tmp_path / "gone")
    assert set(evaluate.evaluate_run(ball.folder)) == PICTURE_KEYS - {"heldout_psnr_db"}


def test_bad_inputs(ball: BallRun, tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="mesh not found"):
        evaluate.evaluate_run(ball.folder, gt_mesh=tmp_path / "none.ply")
    with pytest.raises(InputMissing, match="cameras not found"):
        evaluate.evaluate_run(ball.folder, gt_cameras=tmp_path / "none.npz")
    with pytest.raises(InputMissing):
        evaluate.evaluate_run(tmp_path / "no-run")
    (ball.capture / "image" / "000.png").unlink()
    (ball.capture / "mask" / "000.png").unlink()
    with pytest.raises((BadInput, InputMissing)):
        evaluate.evaluate_run(ball.folder)


def test_lines_name_value_and_unit() -> None:
    pictures = {"psnr_db": 23.414, "missed_fraction": 0.0123, "ssim": 0.9}
    numbers = {"camera_rotation_deg": 0.1, **pictures, "chamfer": 0.41234}
    assert evaluate.metric_lines(numbers) == [
        "PSNR 23.41 dB",
        "missed object pixels 1.230 %",
        "SSIM 0.9000",
        "Chamfer 0.4123 world units",
        "camera rotation 0.100 degrees",
    ]


def test_mesh_of_the_run_is_written_in_the_world_frame(ball: BallRun, capsys: pytest.CaptureFixture[str]) -> None:
    report = extract.mesh_run(ball.folder, resolution=48)
    assert [file.name for file in report.files] == ["mesh.ply", "mesh.glb"]
    read: Any = trimesh.load(ball.folder / "mesh" / "mesh.ply", process=False)
    np.testing.assert_allclose(np.linalg.norm(read.vertices - SHIFT, axis=1), RADIUS * SCALE, rtol=1e-3)
    assert read.is_watertight and read.is_winding_consistent
    outward = (read.vertices - SHIFT) / (RADIUS * SCALE)
    np.testing.assert_allclose(read.visual.vertex_colors[:, :3] / 255, 0.5 + 0.4 * outward, atol=5e-3)
    assert "watertight and manifold, 1 body" in capsys.readouterr().out


def test_mesh_to_one_file(ball: BallRun, tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.GLB"
    assert extract.mesh_run(ball.folder, resolution=32, out=out).files == (out,)
    assert trimesh.load_scene(io.BytesIO(out.read_bytes()), file_type="glb").to_mesh().is_watertight
    with pytest.raises(extract.UsageError, match=r"end it in \.ply or \.glb"):
        extract.mesh_run(ball.folder, out=tmp_path / "a.stl")
