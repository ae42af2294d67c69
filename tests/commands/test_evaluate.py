"""Measurements of a run whose true values are known (EVAL-5, EVAL-6, EVAL-8), and the files and lines that say them."""

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
from pose_histories import disturbed, write_history
from scipy.spatial.transform import Rotation

from taichi_idr.capture.formats.matrices import write_idr_cameras
from taichi_idr.commands import evaluate
from taichi_idr.commands.mesh import mesh_run
from taichi_idr.errors import BadInput, InputMissing, UsageError
from taichi_idr.measures import dtu
from taichi_idr.measures.catalogue import MEASURES, metric_lines
from taichi_idr.measures.dtu import DtuScan
from taichi_idr.meshes import mesh as meshes
from taichi_idr.meshes.mesh import BodyCount, Extraction
from taichi_idr.meshes.ply import ply_bytes
from taichi_idr.runs import measuring
from taichi_idr.types import Cameras, CaptureReading

EIGHT_BIT_PSNR = 50.0  # dB; photos are rounded to 1/255, which alone gives 58.9 dB
SAMPLES = 5_000  # of the meshes
HELDOUT_KEYS = {"heldout_psnr_db", "heldout_own_exposure_db"}
EXPOSURE_KEYS = {"exposure_spread_ev", "exposure_ev"}
PICTURE_KEYS = {"psnr_db", "psnr_hit_db", "missed_fraction", "ssim", "mask_iou", *HELDOUT_KEYS}
CAMERA_KEYS = {
    "camera_rotation_deg",
    "camera_rotation_median_deg",
    "camera_rotation_apart_deg",
    "camera_centre",
    "camera_centre_median",
}
CURVE_KEYS = {"camera_rotation_start_deg", "camera_centre_start", "camera_rotation_swing", "camera_swing"}
MOVEMENT_KEYS = {"camera_turned_deg", "camera_moved"}
MESH_KEYS = {"accuracy", "completeness", "chamfer", "fscore", "normal_error_deg"}


def use(run: BallRun, monkeypatch: pytest.MonkeyPatch) -> BallRun:
    monkeypatch.setattr("taichi_idr.runs.loading.load_run", lambda _: run.loaded)
    monkeypatch.setattr(measuring, "mesh_distance", partial(measuring.mesh_distance, samples=SAMPLES))
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
    (tmp_path / "truth.ply").write_bytes(ply_bytes(mesh))
    return tmp_path / "truth.ply"


def test_exact_run_has_exact_numbers(ball: BallRun, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = evaluate.evaluate_run(ball.folder, gt_mesh=truth)
    assert set(numbers) == PICTURE_KEYS | MESH_KEYS
    assert numbers["psnr_db"] > EIGHT_BIT_PSNR and numbers["heldout_psnr_db"] > EIGHT_BIT_PSNR
    assert numbers["mask_iou"] > 0.999 and numbers["missed_fraction"] < 1e-3 and numbers["ssim"] > 0.999
    assert numbers["chamfer"] < 2e-3 * SCALE  # facets of both meshes
    assert numbers["fscore"] == 1
    assert numbers.items() <= json.loads((ball.folder / "report" / "eval.json").read_text()).items()
    assert f"PSNR {numbers['psnr_db']:.2f} dB" in capsys.readouterr().out.splitlines()


def test_too_small_a_ball_is_measured_so(small_ball: BallRun, truth: Path) -> None:
    numbers = evaluate.evaluate_run(small_ball.folder, gt_mesh=truth)
    assert numbers["chamfer"] == pytest.approx(0.1 * SCALE, rel=0.01)
    assert numbers["mask_iou"] == pytest.approx(0.64, abs=0.03)  # (0.4 / 0.5)^2, seen from 2.5
    assert numbers["missed_fraction"] == pytest.approx(1 - numbers["mask_iou"], abs=1e-6)
    assert numbers["psnr_hit_db"] > numbers["psnr_db"] + 5


def write_mesh_file(ball: BallRun, resolution: int, step: int, bodies: BodyCount = "main") -> None:
    """A mesh of twice the size, that says it is of this run."""
    other = trimesh.creation.icosphere(4, 2 * RADIUS * SCALE)
    mesh = meshes.make_mesh(np.asarray(other.vertices) + SHIFT, np.asarray(other.faces, np.int32))
    file = ball.folder / "mesh" / "mesh.ply"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(ply_bytes(replace(mesh, extraction=Extraction(resolution, step, bodies))))


def test_the_runs_own_mesh_is_measured_where_it_is_the_wanted_one(ball: BallRun, truth: Path) -> None:
    """Not one of another resolution, or of an earlier step: the number must not depend on what was last asked for."""
    step = ball.loaded.step
    write_mesh_file(ball, measuring.MESH_RESOLUTION, step)
    assert evaluate.evaluate_run(ball.folder, gt_mesh=truth)["chamfer"] == pytest.approx(RADIUS * SCALE, rel=0.01)
    for resolution, made_at in ((measuring.MESH_RESOLUTION // 2, step), (measuring.MESH_RESOLUTION, step - 1)):
        write_mesh_file(ball, resolution, made_at)
        assert evaluate.evaluate_run(ball.folder, gt_mesh=truth)["chamfer"] < 0.01 * SCALE
    write_mesh_file(ball, measuring.MESH_RESOLUTION, step, "all")
    assert evaluate.evaluate_run(ball.folder, gt_mesh=truth)["chamfer"] < 0.01 * SCALE
    (ball.folder / "mesh" / "mesh.ply").write_bytes(truth.read_bytes())  # a file of somebody else's
    assert measuring.read_extraction(ball.folder / "mesh" / "mesh.ply") is None


def test_the_benchmark_has_a_resolution_of_its_own(ball: BallRun, benchmark: list[int]) -> None:
    write_mesh_file(ball, measuring.MESH_RESOLUTION, ball.loaded.step)
    numbers = evaluate.evaluate_run(ball.folder, dtu=ball.capture, scan=7, max_views=1)
    assert numbers["dtu_chamfer"] < 0.02 * SCALE  # a coarse mesh of the true size, not the file's of twice that


def test_a_run_in_another_world_frame_is_aligned_by_its_cameras(ball: BallRun, truth: Path, tmp_path: Path) -> None:
    """CAM-10: the fit's poses are the true ones moved by a similarity; mesh and held-out views must come out as
    before."""
    write_idr_cameras(tmp_path / "true.npz", ball.loaded.cameras, T_world_normalised())
    move_world(ball)
    numbers = evaluate.evaluate_run(ball.folder, gt_mesh=truth, gt_cameras=tmp_path / "true.npz")
    assert numbers["camera_rotation_deg"] < 1e-4 and numbers["camera_centre"] < 1e-4 * SCALE
    assert numbers["chamfer"] < 2e-3 * SCALE
    assert numbers["heldout_psnr_db"] > EIGHT_BIT_PSNR
    assert set(numbers) == PICTURE_KEYS | MESH_KEYS | CAMERA_KEYS


def move_world(ball: BallRun) -> None:
    """The run's world frame becomes another than the truth's."""
    moved = np.eye(4)
    moved[:3, :3] = 3 * Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    moved[:3, 3] = 7, 8, 9
    ball.loaded = replace(ball.loaded, T_world_normalised=moved @ T_world_normalised())


def train_cameras(ball: BallRun, *errors: tuple[float, float]) -> Cameras:
    """The run's cameras get the last of `errors` (degrees, normalised length), its history all; returns the truth."""
    cameras = ball.loaded.cameras
    poses = [disturbed(cameras, *error) for error in errors]
    (ball.folder / "cameras").mkdir()
    write_history(ball.folder / "cameras" / "history.npz", poses)
    ball.loaded = replace(ball.loaded, cameras=poses[-1])
    return cameras


def test_trained_cameras_are_followed_from_the_start(ball: BallRun, truth: Path, tmp_path: Path) -> None:
    """EVAL-8 and CAM-10: errors by CAM-9 at start and end, the swing between, the mesh in the truth's frame."""
    cameras = train_cameras(ball, (1.0, 0.02), (2.0, 0.05), (0.2, 0.004))
    write_idr_cameras(tmp_path / "true.npz", cameras, T_world_normalised())
    move_world(ball)
    numbers = evaluate.evaluate_run(ball.folder, gt_mesh=truth, gt_cameras=tmp_path / "true.npz")
    assert set(numbers) == PICTURE_KEYS | MESH_KEYS | CAMERA_KEYS | CURVE_KEYS | MOVEMENT_KEYS
    expected = {
        "camera_rotation_deg": 0.2,
        "camera_rotation_median_deg": 0.2,
        "camera_rotation_apart_deg": 0.2,
        "camera_rotation_start_deg": 1.0,
        "camera_rotation_swing": 2.0,
        "camera_centre": 0.004 * SCALE,
        "camera_centre_median": 0.004 * SCALE,
        "camera_centre_start": 0.02 * SCALE,
        "camera_swing": 2.5,
        "camera_turned_deg": 0.8,
        "camera_moved": 0.016 * 3 * SCALE,  # in the run's own world, which is three times as large
    }
    assert {key: numbers[key] for key in expected} == pytest.approx(expected, rel=1e-3)
    assert numbers["chamfer"] < 2e-3 * SCALE  # the errors are even, so that the alignment is exact
    assert numbers.items() <= json.loads((ball.folder / "report" / "eval.json").read_text()).items()
    assert (ball.folder / "report" / "cameras.svg").read_text().count("<polyline") == 2


def test_without_true_cameras_the_movement_is_known(ball: BallRun) -> None:
    train_cameras(ball, (1.0, 0.02), (0.2, 0.004))
    numbers = evaluate.evaluate_run(ball.folder)
    assert set(numbers) == PICTURE_KEYS | MOVEMENT_KEYS
    assert numbers["camera_turned_deg"] == pytest.approx(0.8, rel=1e-3)
    assert not (ball.folder / "report" / "cameras.svg").exists()


def test_a_history_of_other_views_is_refused(ball: BallRun) -> None:
    train_cameras(ball, (1.0, 0.02), (0.2, 0.004))
    ball.loaded = replace(ball.loaded, cameras=ball.loaded.cameras[:4])
    with pytest.raises(BadInput, match="poses of 6 views, the run has 4"):
        evaluate.evaluate_run(ball.folder)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A scan of the true ball, observed everywhere, instead of a sample set; the numbers that were asked for."""
    directions = np.random.default_rng(0).normal(size=(4000, 3))
    surface = SHIFT + RADIUS * SCALE * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    box = np.array([SHIFT, SHIFT]) + SCALE * np.array([[-1.0], [1.0]])
    known = DtuScan(surface, np.ones((201, 201, 201), bool), box, 1.0, np.array([0.0, 0, 0, 1]))
    asked: list[int] = []
    monkeypatch.setattr(dtu, "read_scan", lambda _, number: asked.append(number) or known)
    monkeypatch.setattr(measuring, "DTU_RESOLUTION", 48)
    monkeypatch.setattr(dtu, "SPACING", 2.0)
    return asked


def test_the_benchmarks_protocol_measures_in_millimetres(
    small_ball: BallRun, benchmark: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """EVAL-6: a ball of 40 mm in place of one of 50."""
    numbers = evaluate.evaluate_run(small_ball.folder, dtu=small_ball.capture, scan=7, max_views=1)
    assert benchmark == [7]
    assert [numbers[f"dtu_{key}"] for key in ("accuracy", "completeness", "chamfer")] == pytest.approx(
        [10] * 3, rel=0.02
    )
    assert f"DTU Chamfer {numbers['dtu_chamfer']:.3f} mm" in capsys.readouterr().out.splitlines()
    assert not MESH_KEYS & set(numbers)


def test_the_scan_is_that_of_the_captures_name(ball: BallRun, benchmark: list[int]) -> None:
    with pytest.raises(UsageError, match="--scan 65"):
        evaluate.evaluate_run(ball.folder, dtu=ball.capture)
    renamed = ball.capture.rename(ball.capture.with_name("scan_24"))
    ball.loaded = replace(ball.loaded, capture_folder=renamed)
    evaluate.evaluate_run(ball.folder, dtu=renamed, max_views=1)
    assert benchmark == [24]


def test_a_mesh_far_from_the_scan_has_no_distance(
    ball: BallRun, benchmark: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    ball.loaded = replace(ball.loaded, T_world_normalised=np.diag([1e-3, 1e-3, 1e-3, 1]))
    (ball.capture / "heldout").rename(ball.capture / "gone")
    numbers = evaluate.evaluate_run(ball.folder, dtu=ball.capture, scan=7, max_views=1)
    assert not any(key.startswith("dtu") for key in numbers)
    assert "the mesh is not where the DTU scan is" in capsys.readouterr().err


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
    assert set(evaluate.evaluate_run(ball.folder)) == PICTURE_KEYS - HELDOUT_KEYS


def test_rough_poses_need_true_ones_for_photos_held_out(ball: BallRun, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the photos of another camera file are in the run's frame is not known; the file itself is not needed."""
    ball.loaded = replace(ball.loaded, reading=CaptureReading(cameras_file="/gone/rough.npz"))
    assert set(evaluate.evaluate_run(ball.folder)) == PICTURE_KEYS - HELDOUT_KEYS
    assert "--gt-cameras" in capsys.readouterr().err
    numbers = evaluate.evaluate_run(ball.folder, gt_cameras=ball.capture / "cameras.npz")
    assert numbers["heldout_psnr_db"] > EIGHT_BIT_PSNR


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


def test_every_number_of_a_run_is_in_the_catalogue(
    ball: BallRun, truth: Path, benchmark: list[int], tmp_path: Path
) -> None:
    """And the catalogue lists nothing that a run cannot have: exposures are tested with fits."""
    cameras = train_cameras(ball, (1.0, 0.02), (0.2, 0.004))
    write_idr_cameras(tmp_path / "true.npz", cameras, T_world_normalised())
    known = {"gt_mesh": truth, "gt_cameras": tmp_path / "true.npz", "dtu": ball.capture, "scan": 7}
    assert set(evaluate.evaluate_run(ball.folder, **known)) == {measure.key for measure in MEASURES} - EXPOSURE_KEYS


def test_lines_name_value_and_unit() -> None:
    pictures = {"psnr_db": 23.414, "missed_fraction": 0.0123, "ssim": 0.9}
    numbers = {"camera_rotation_deg": 0.1, **pictures, "chamfer": 0.41234}
    assert metric_lines(numbers) == [
        "PSNR 23.41 dB",
        "missed object pixels 1.230 %",
        "SSIM 0.9000",
        "Chamfer 0.4123 world units",
        "camera rotation 0.100 degrees",
    ]


def test_mesh_of_the_run_is_written_in_the_world_frame(ball: BallRun, capsys: pytest.CaptureFixture[str]) -> None:
    report = mesh_run(ball.folder, resolution=48)
    assert [file.name for file in report.files] == ["mesh.ply", "mesh.glb"]
    read: Any = trimesh.load(ball.folder / "mesh" / "mesh.ply", process=False)
    np.testing.assert_allclose(np.linalg.norm(read.vertices - SHIFT, axis=1), RADIUS * SCALE, rtol=1e-3)
    assert read.is_watertight and read.is_winding_consistent
    outward = (read.vertices - SHIFT) / (RADIUS * SCALE)
    np.testing.assert_allclose(read.visual.vertex_colors[:, :3] / 255, 0.5 + 0.4 * outward, atol=5e-3)
    assert "watertight and manifold, 1 body" in capsys.readouterr().out


def test_mesh_to_one_file(ball: BallRun, tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.GLB"
    assert mesh_run(ball.folder, resolution=32, out=out).files == (out,)
    assert trimesh.load_scene(io.BytesIO(out.read_bytes()), file_type="glb").to_mesh().is_watertight
    obj = tmp_path / "a.obj"
    mesh_run(ball.folder, resolution=32, bodies="all", out=obj)
    assert obj.read_text().startswith("# resolution 32\n# step 1\n# bodies all\n")
    assert trimesh.load_scene(obj, process=False).to_mesh().is_watertight
    with pytest.raises(UsageError, match=r"end it in \.ply, \.glb, \.obj, \.stl or \.usdz"):
        mesh_run(ball.folder, out=tmp_path / "a.dae")


def test_a_run_far_from_the_origin_has_exact_numbers(ball: BallRun, tmp_path: Path) -> None:
    """In UTM metres: camera errors, mesh file and its distance from the truth."""
    T = np.eye(4)
    T[:3, 3] = 5e5, 5.4e6, 120.0
    ball.loaded = replace(ball.loaded, T_world_normalised=T)
    shape = trimesh.creation.icosphere(5, RADIUS)
    mesh = meshes.make_mesh(np.asarray(shape.vertices) + T[:3, 3], np.asarray(shape.faces, np.int32))
    (tmp_path / "truth.ply").write_bytes(ply_bytes(mesh))
    write_idr_cameras(tmp_path / "true.npz", ball.loaded.cameras, T)
    report = mesh_run(ball.folder, resolution=measuring.MESH_RESOLUTION)
    assert report.topology.closed and report.coincident == 0
    known = {"gt_mesh": tmp_path / "truth.ply", "gt_cameras": tmp_path / "true.npz"}
    numbers = evaluate.evaluate_run(ball.folder, **known)
    assert numbers["chamfer"] < 2e-3 and numbers["fscore"] == 1 and numbers["camera_centre"] < 1e-6
    ball.loaded = replace(ball.loaded, T_world_normalised=np.eye(4))
    (tmp_path / "truth.ply").write_bytes(ply_bytes(replace(mesh, vertices=mesh.vertices - T[:3, 3])))
    (ball.folder / "mesh" / "mesh.ply").unlink()
    near = evaluate.evaluate_run(ball.folder, gt_mesh=tmp_path / "truth.ply")
    assert numbers["chamfer"] == pytest.approx(near["chamfer"], rel=0.01)
