"""benchmarks/time_to_quality.py: the clock, the target, and the whole of it on a tiny capture."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from benchmark_modules import benchmark

from taichi_idr.capture.synthetic import make_capture
from taichi_idr.commands.fit import fit_capture
from taichi_idr.meshes import extraction as extract
from taichi_idr.methods.fast import model

SMALL = [
    "geometry.levels=4", "geometry.log2_rows=10", "geometry.finest=32", "geometry.width=16", "radiance.width=16",
    "proxy.resolution=24", "schedule.rays=128", "schedule.hull_resolution=24", "schedule.hull_steps=100",
    "loss.eikonal_points=64",
]  # fmt: skip
STEPS = 3
PICTURES = {"psnr_db", "psnr_hit_db", "missed_fraction", "ssim", "mask_iou", "own_exposure_db"}
SURFACE = {"accuracy", "completeness", "chamfer", "fscore", "normal_error_deg"}


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The benchmark, at resolutions that suit a tiny capture."""
    with pytest.MonkeyPatch.context() as patch:
        module = benchmark("time_to_quality", patch)
        coarse = {(module, "MESH_RESOLUTION"): 32, (extract, "ROUGH_RESOLUTION"): 32, (model, "VIEWING_RESOLUTION"): 32}
        patch.setattr(module, "SAMPLES", 2_000)
        for (where, name), value in coarse.items():
            patch.setattr(where, name, value)
        yield module


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures") / "ewer"
    return make_capture(folder, views=6, heldout=0, size=(32, 32), samples=1, mesh_resolution=24)


@pytest.fixture(scope="module")
def record(bench: ModuleType, capture: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A fit of STEPS steps with a point before the first and after each: one is always due."""
    file = tmp_path_factory.mktemp("records") / "fast.json"
    sets = [text for assignment in SMALL for text in ("--set", assignment)]
    often = ["--first", "1e-9", "--growth", "1.0000001"]
    limits = ["--steps", STEPS, "--threads", 1, "--views", 2, "--target-psnr", 1]
    bench.main([str(capture), *sets, *often, *map(str, limits), "--json", str(file)])
    return json.loads(file.read_text()) | {"file": file}


def test_points_follow_the_fit(record):
    points = record["points"]
    assert [point["step"] for point in points] == list(range(STEPS + 1))
    seconds = [point["seconds"] for point in points]
    assert seconds == sorted(seconds) and seconds[0] > 0 and seconds[-1] <= record["fit_seconds"]
    assert all(set(point) == {"seconds", "step", *PICTURES, *SURFACE} for point in points)
    assert record["photos"] == 2
    # Each of its own model: but for the first step, whose rate is zero.
    assert len({point["psnr_db"] for point in points}) == STEPS


def test_the_last_point_is_the_model_that_tidr_fit_leaves(bench, capture, tmp_path):
    """The same fit, unwatched, gives the same checkpoint as one that is put aside after each step."""
    recorder = bench.Recorder(1e-9, 1.0000001)
    options = {"assignments": SMALL, "steps": STEPS, "threads": 1}
    fit_capture(capture, out=tmp_path / "watched", watch=recorder, **options)
    fit_capture(capture, out=tmp_path / "alone", **options)
    alone = bench.load_run(tmp_path / "alone").model.state_dict()
    kept = recorder.snapshots[-1].tensors
    assert all(torch.equal(kept[f"model.{name}"], part) for name, part in alone.items())


def test_what_is_written(record):
    assert record["settings"]["preset"] == "fast" and record["settings"]["schedule"]["steps"] == STEPS
    assert {"machine", "python", "versions", "commit", "arch", "threads"} <= set(record)
    assert record["seconds_to_target"] == record["points"][0]["seconds"]
    chart = record["file"].with_suffix(".svg").read_text()
    assert chart.count("<polyline") == 4


def test_curves_over_each_other(bench, record, tmp_path):
    shorter = record | {"points": record["points"][:2], "file": ""}
    (tmp_path / "before.json").write_text(json.dumps(shorter))
    (tmp_path / "after.json").write_text(json.dumps(record | {"file": ""}))
    bench.main(["--compare", *(str(tmp_path / f"{name}.json") for name in ("before", "after")),
                "--svg", str(tmp_path / "both.svg")])  # fmt: skip
    chart = (tmp_path / "both.svg").read_text()
    assert chart.count("<polyline") == 8
    assert "before" in chart and "after" in chart


def test_trained_cameras_are_aligned_before_the_mesh_is_measured(bench, capture, tmp_path):
    sets = [text for assignment in [*SMALL, "cameras.adjustments="] for text in ("--set", assignment)]
    rough = ["--cameras", "train", "--init-cameras", "cameras_noisy.npz", "--steps", "2", "--threads", "1"]
    bench.main([str(capture), *sets, *rough, "--views", "1", "--json", str(tmp_path / "rough.json")])
    (point,) = json.loads((tmp_path / "rough.json").read_text())["points"]
    assert point["step"] == 2  # the fit ends before the first point is due
    assert 0.5 < point["camera_rotation_deg"] < 3 and point["camera_centre"] > 1  # 1.4 degrees, 5 mm
    assert set(point) >= SURFACE


def test_the_clock_stands_while_a_model_is_put_aside(bench):
    def state() -> dict[str, torch.Tensor]:
        time.sleep(0.2)
        return {"model.x": torch.zeros(1), "optimiser.x": torch.zeros(1)}

    trainer = SimpleNamespace(steps_done=1, state=state, cameras=lambda: None)
    recorder = bench.Recorder(1e-9, 2.0)
    recorder(trainer)
    assert recorder.clock() < 0.1
    assert set(recorder.snapshots[0].tensors) == {"model.x"}
    recorder.finish()
    assert len(recorder.snapshots) == 1  # that step is there already


@pytest.mark.parametrize(("target", "seconds"), [(10, 5), (12, 7), (14, 9), (15, 9.5), (20, None)])
def test_when_a_target_was_first_reached(bench, target, seconds):
    points = [
        {"seconds": 5.0, "psnr_db": 10.0}, {"seconds": 9.0, "psnr_db": 14.0}, {"seconds": 9.2},
        {"seconds": 10.0, "psnr_db": 16.0}, {"seconds": 20.0, "psnr_db": 13.0},
    ]  # fmt: skip
    assert bench.first_reached(points, target) == seconds
    assert bench.first_reached([], target) is None


def test_mistakes_are_said_in_a_line(bench, tmp_path):
    with pytest.raises(SystemExit, match=r"^time_to_quality: .*nowhere"):
        bench.main([str(tmp_path / "nowhere"), "--json", str(tmp_path / "x.json")])
    with pytest.raises(SystemExit):
        bench.main([])
    with pytest.raises(SystemExit):  # before hours of fitting
        bench.parsed_options(["capture", "--json", str(tmp_path / "none" / "x.json")])
