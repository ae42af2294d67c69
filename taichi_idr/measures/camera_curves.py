"""How trained cameras came to where they are (figure 8 of the paper): their errors at every logged step (CAM-9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..cameras.alignment import camera_accuracy
from ..poses.history import PoseHistory
from ..types import Cameras

ROUNDING = 1e-9  # share of the largest error below which the first one is none


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


def camera_curves(history: PoseHistory, reference: Cameras) -> CameraCurves:
    """Errors against `reference`, the same V views in any frame and unit, at every logged step."""
    found = [camera_accuracy(history.at(row), reference) for row in range(len(history))]
    rotation, centre = [each.rotation_mean_deg for each in found], [each.centre_mean for each in found]
    return CameraCurves(history.steps, np.array(rotation), np.array(centre))


def _swing(errors: np.ndarray) -> float:
    return float(errors.max() / errors[0]) if errors[0] > ROUNDING * errors.max() else float("inf")
