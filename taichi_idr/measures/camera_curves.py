"""How trained cameras came to where they are (figure 8 of the paper): their errors at every logged step (CAM-9)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..cameras.pinhole import camera_accuracy, rotation_matrices, transform_cameras
from ..errors import BadInput
from ..files.npz import read_npz
from ..files.writing import atomic_write
from ..report.charts import line_chart, svg_file
from ..types import Cameras

HISTORY_FILE = "history.npz"
ROUNDING = 1e-9  # share of the largest error below which the first one is none
_KEYS = ("steps", "quaternions", "centres")


@dataclass(frozen=True)
class PoseHistory:
    """Poses at L logged steps, the first of them the start.

    steps: (L,) increasing. quaternions: (L, V, 4) w x y z, camera -> one frame; centres: (L, V, 3) in it.
    """

    steps: np.ndarray
    quaternions: Tensor
    centres: Tensor

    def __len__(self) -> int:
        return len(self.steps)

    def at(self, row: int) -> Cameras:
        """The poses of one logged step. Their intrinsics are unit matrices: errors of poses need none."""
        units = torch.eye(3, dtype=torch.float64).repeat(self.quaternions.shape[1], 1, 1)
        return Cameras(self.quaternions[row], self.centres[row], units)


@dataclass(frozen=True)
class CameraCurves:
    """Mean errors over the views after CAM-9, each step aligned by itself.

    steps (L,); rotation_deg (L,); centre (L,) in the reference's unit.
    """

    steps: np.ndarray
    rotation_deg: np.ndarray
    centre: np.ndarray

    @property
    def rotation_swing(self) -> float:
        """Largest rotation error at a logged step over that at the start; infinite if that was none."""
        return _swing(self.rotation_deg)

    @property
    def centre_swing(self) -> float:
        """The same of the centres."""
        return _swing(self.centre)


@dataclass(frozen=True)
class CameraMovement:
    """How far each of V cameras is from another pose of it after CAM-9: degrees (V,), distance (V,)."""

    degrees: np.ndarray
    distance: np.ndarray


def read_history(file: Path) -> PoseHistory | None:
    """Poses that a fit logged; None where the file is absent. Raises BadInput for one that is damaged."""
    if not file.is_file():
        return None
    arrays = read_npz(file)
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise BadInput("bad pose history", where=f"{file}: {missing[0]}", why="it is missing", todo="remove the file")
    steps, quaternions, centres = (arrays[key] for key in _KEYS)
    shape = quaternions.shape[:2]
    whole = steps.shape == shape[:1] and quaternions.shape == (*shape, 4) and centres.shape == (*shape, 3)
    numbers = all(arrays[key].dtype.kind in "iuf" and np.isfinite(arrays[key]).all() for key in _KEYS)
    if not whole or not numbers or not len(steps):
        why = f"shapes {steps.shape}, {quaternions.shape}, {centres.shape}, or what is not a finite number"
        raise BadInput("bad pose history", where=file, why=why, todo="remove the file")
    tensors = (torch.tensor(values, dtype=torch.float64) for values in (quaternions, centres))
    return PoseHistory(steps.astype(np.int64), *tensors)


def write_history(file: Path, history: PoseHistory) -> None:
    """What `read_history` reads, float64. Raises WriteFailed."""
    arrays = {"steps": history.steps, "quaternions": history.quaternions.numpy(), "centres": history.centres.numpy()}
    data = io.BytesIO()
    np.savez(data, **arrays)  # pyright: ignore[reportArgumentType]
    atomic_write(file, data.getvalue())


def camera_curves(history: PoseHistory, reference: Cameras) -> CameraCurves:
    """Errors against `reference`, the same V views in any frame and unit, at every logged step."""
    found = [camera_accuracy(history.at(row), reference) for row in range(len(history))]
    rotation, centre = [each.rotation_mean_deg for each in found], [each.centre_mean for each in found]
    return CameraCurves(history.steps, np.array(rotation), np.array(centre))


def camera_movement(start: Cameras, now: Cameras, unit: float = 1.0) -> CameraMovement:
    """How far each camera has moved, less what they moved in common: `now` is aligned to `start` first.

    unit: length of the cameras' unit in the one that is wanted.
    """
    aligned = transform_cameras(camera_accuracy(now, start).alignment, now)
    turns = rotation_matrices(start.quaternions).transpose(1, 2) @ rotation_matrices(aligned.quaternions)
    # From the chord: an arc cosine of the trace knows no angle below 1e-6 degrees.
    chord = torch.linalg.matrix_norm(turns - torch.eye(3).to(turns)) / np.sqrt(8)
    degrees = torch.rad2deg(2 * torch.asin(chord.clamp(max=1)))
    return CameraMovement(degrees.numpy(), unit * (aligned.centres - start.centres).norm(dim=1).numpy())


def curve_charts(curves: CameraCurves, unit: str = "world units") -> list[str]:
    """Rotation and centre error over the steps, log axis, as SVG elements."""
    charts = {
        "Camera rotation, mean error, °": curves.rotation_deg,
        f"Camera centre, mean error, {unit}": curves.centre,
    }
    steps = curves.steps.tolist()
    drawn = [
        line_chart(title, {"error": list(zip(steps, values.tolist(), strict=True))}, log=True)
        for title, values in charts.items()
    ]
    return [chart for chart in drawn if chart]


def curves_svg(curves: CameraCurves, unit: str = "world units") -> str:
    """`curve_charts` side by side as a file; empty text where there is nothing to draw."""
    charts = curve_charts(curves, unit)
    return svg_file(charts) if charts else ""


def _swing(errors: np.ndarray) -> float:
    return float(errors.max() / errors[0]) if errors[0] > ROUNDING * errors.max() else float("inf")
