"""Errors of trained cameras over the steps, each step after CAM-9; the swing; the chart."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from ball_run import around
from pose_histories import disturbed, write_history
from scipy.spatial.transform import Rotation

from taichi_idr.cameras.alignment import camera_movement
from taichi_idr.cameras.pinhole import transform_cameras
from taichi_idr.errors import BadInput
from taichi_idr.measures.camera_curves import CameraCurves, camera_curves
from taichi_idr.poses.history import read_history
from taichi_idr.report.camera_charts import curves_svg
from taichi_idr.types import Cameras

DEGREES = 1e-6
TAKEN_BACK = 1e-3
"""Share of a length: CAM-9's scale shrinks what was spread, by about half the square of length over distance (2.5)."""
ERRORS = [(1.0, 0.02), (3.0, 0.05), (0.25, 0.01)]  # degrees and lengths at steps 0, 50 and 200
UNIT = 7.0


def similarity() -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = UNIT * Rotation.from_rotvec([0.5, -1.0, 0.3]).as_matrix()
    T[:3, 3] = 3, -2, 11
    return T


@pytest.fixture
def truth() -> Cameras:
    return around(8, elevation=0.4)


@pytest.fixture
def file(tmp_path: Path, truth: Cameras) -> Path:
    return write_history(tmp_path / "history.npz", [disturbed(truth, *error) for error in ERRORS])


def history_of(file: Path):
    history = read_history(file)
    assert history is not None
    return history


def test_errors_at_every_step_in_the_reference_s_unit(file: Path, truth: Cameras):
    """CAM-9 at each step: a similarity between the frames does not count, what cameras do beyond it does."""
    curves = camera_curves(history_of(file), transform_cameras(similarity(), truth))
    assert curves.steps.tolist() == [0, 50, 200]
    degrees, lengths = zip(*ERRORS, strict=True)
    assert curves.rotation_deg == pytest.approx(degrees, abs=DEGREES)
    assert curves.centre == pytest.approx(np.array(lengths) * UNIT, rel=TAKEN_BACK)


def test_the_swing_is_the_largest_error_over_that_of_the_start(file: Path, truth: Cameras):
    curves = camera_curves(history_of(file), truth)
    assert curves.rotation_swing == pytest.approx(3.0, abs=1e-4)
    assert curves.centre_swing == pytest.approx(2.5, abs=1e-3)
    exact = CameraCurves(np.array([0, 1]), np.array([1e-14, 1.0]), np.array([1.0, 0.5]))
    assert exact.rotation_swing == float("inf") and exact.centre_swing == 1.0


def test_movement_leaves_out_what_all_cameras_did_alike(truth: Cameras):
    """CAM-9 against the start: 2 degrees and 0.1 for each camera, whatever frame the fit drifted to."""
    moved = transform_cameras(similarity(), disturbed(truth, 2.0, 0.1))
    movement = camera_movement(truth, moved, unit=100.0)
    assert movement.degrees == pytest.approx([2.0] * len(truth), abs=DEGREES)
    assert movement.distance == pytest.approx([10.0] * len(truth), rel=TAKEN_BACK)
    still = camera_movement(truth, truth)
    assert still.degrees.max() < DEGREES and still.distance.max() < 1e-9


def test_small_angles_are_angles_too(truth: Cameras):
    movement = camera_movement(truth, disturbed(truth, 1e-6, 0.0))
    assert movement.degrees == pytest.approx([1e-6] * len(truth), rel=1e-3)


def test_the_chart_has_both_curves_in_their_frames(file: Path, truth: Cameras):
    text = curves_svg(camera_curves(history_of(file), truth), "mm")
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    charts = root.findall(f"{space}svg")
    assert len(charts) == 2 and "rotation" in charts[0].attrib["aria-label"] and "mm" in charts[1].attrib["aria-label"]
    assert float(charts[1].attrib["x"]) == float(charts[0].attrib["width"])
    for chart in charts:
        (line,) = chart.findall(f"{space}polyline")
        heights = [float(y) for y in re.findall(r",([\d.]+)", line.attrib["points"])]
        assert heights[1] < heights[0] < heights[2]  # up the page: worse, then better


def test_one_step_makes_no_chart(tmp_path: Path, truth: Cameras):
    history = history_of(write_history(tmp_path / "h.npz", [disturbed(truth, 1.0, 0.1)]))
    assert curves_svg(camera_curves(history, truth)) == ""


def test_a_run_without_history_has_none(tmp_path: Path):
    assert read_history(tmp_path / "history.npz") is None


FAULTS: dict[str, tuple[Callable[[Cameras], dict[str, object]], str]] = {
    "no steps": (lambda truth: {"steps": None}, "steps"),
    "fewer steps": (lambda truth: {"steps": np.array([0])}, "shapes"),
    "more views": (lambda truth: {"centres": np.zeros((3, len(truth) + 1, 3))}, "shapes"),
    "NaN": (lambda truth: {"centres": np.full((3, len(truth), 3), np.nan)}, "finite"),
    "no rows": (
        lambda truth: {
            "steps": np.zeros(0),
            "quaternions": np.zeros((0, len(truth), 4)),
            "centres": np.zeros((0, len(truth), 3)),
        },
        "shapes",
    ),
    "text": (lambda truth: {"steps": np.array(["a", "b", "c"])}, "history"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_history_is_refused(tmp_path: Path, truth: Cameras, fault: str):
    changes, text = FAULTS[fault]
    poses = [disturbed(truth, *error) for error in ERRORS]
    with pytest.raises(BadInput, match=text):
        read_history(write_history(tmp_path / "history.npz", poses, **changes(truth)))


def test_half_a_file_is_refused(file: Path):
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BadInput, match="damaged"):
        read_history(file)


def test_cameras_of_the_reference_may_carry_any_quaternion_length(file: Path, truth: Cameras):
    longer = replace(truth, quaternions=-3 * truth.quaternions)
    assert camera_curves(history_of(file), longer).rotation_deg[0] == pytest.approx(1.0, abs=DEGREES)
