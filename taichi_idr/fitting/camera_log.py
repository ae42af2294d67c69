"""Where the trained cameras of a fit have been, and the files that tell other programs where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..cameras.alignment import CameraMovement, camera_movement
from ..cameras.pinhole import scale_of, shrunk
from ..capture.formats.writing import write_cameras
from ..errors import CannotCreate, WriteFailed, warn
from ..poses.history import HISTORY_FILE, PoseHistory, write_history
from ..state import alike
from ..types import Cameras, Capture

MOST_ROWS = 500  # of a history: a curve needs no more, and checkpoints of long fits of many photos stay small


def movement_lines(movement: CameraMovement, names: Sequence[str]) -> list[str]:
    """How far the cameras of V views have moved, in words; movement in world units, names of the views."""
    found = {"turned": (movement.degrees, "degrees"), "moved": (movement.distance, "world units")}
    return [
        f"cameras   {verb} by {values.mean():.3g} {unit}, median {np.median(values):.3g}, "
        f"most {values.max():.3g} (view {names[int(values.argmax())]})"
        for verb, (values, unit) in found.items()
    ]


class CameraLog:
    """The poses of every logged step, or of every second, fourth ... of more than MOST_ROWS, and of the last one;
    first those that the fit was given.

    folder: of the run's cameras. capture: what is fitted, `downscale` times smaller than its photos.
    """

    def __init__(self, folder: Path, capture: Capture, downscale: int) -> None:
        self.folder, self.capture, self.downscale = folder, capture, downscale
        self.start = capture.cameras.to(torch.float64)
        self.unit = scale_of(capture.T_world_normalised)
        self.steps = [0]
        self.quaternions, self.centres = [self.start.quaternions], [self.start.centres]
        self._written = False

    def note(self, step: int, cameras: Cameras) -> dict[str, float]:
        """Keep the poses of a step; how far they are from the start, as metrics.jsonl names it."""
        self._append(step, cameras)
        moved = self.movement(cameras)
        return {"camera_turned_deg": float(moved.degrees.mean()), "camera_moved": float(moved.distance.mean())}

    def movement(self, cameras: Cameras) -> CameraMovement:
        """Of each view since the start, world units, less what all have in common (CAM-9)."""
        return camera_movement(self.start, cameras, self.unit)

    def write(self, cameras: Cameras) -> None:
        """The cameras as they are now, for photos of full size, and the history; a failure is a warning."""
        files = self.capture.files
        names, sizes = [file.name for file in files], [(file.height, file.width) for file in files]
        whole, frame = shrunk(cameras, 1 / self.downscale), self.capture.T_world_normalised
        try:
            write_cameras(self.folder, whole, frame, names, sizes, mention_skew=not self._written)
            write_history(self.folder / HISTORY_FILE, self.history())
            self._written = True
        except (CannotCreate, WriteFailed) as error:
            warn(f"{error}; the fit goes on without these files")

    def history(self) -> PoseHistory:
        return PoseHistory(np.array(self.steps), torch.stack(self.quaternions), torch.stack(self.centres))

    def state(self) -> dict[str, Tensor]:
        history = self.history()
        tensors = {"quaternions": history.quaternions, "centres": history.centres}
        return {"steps": torch.from_numpy(history.steps), **tensors}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from `state()`; what was noted later is forgotten. Raises KeyError, ValueError where it is none."""
        steps, rows = tensors["steps"], len(tensors["steps"])
        alike(steps, torch.zeros(max(rows, 1), dtype=torch.int64))
        columns = {"quaternions": self.start.quaternions, "centres": self.start.centres}
        parts = [list(alike(tensors[name], like.expand(rows, *like.shape))) for name, like in columns.items()]
        self.steps, (self.quaternions, self.centres) = steps.tolist(), parts

    def _append(self, step: int, cameras: Cameras) -> None:
        """A last row that is nearer to the one before than rows are in general makes way."""
        columns = (self.steps, self.quaternions, self.centres)
        if len(self.steps) > 2 and self.steps[-1] - self.steps[-2] < self.steps[1] - self.steps[0]:
            for column in columns:
                column.pop()
        self.steps.append(step)
        self.quaternions.append(cameras.quaternions)
        self.centres.append(cameras.centres)
        if len(self.steps) > MOST_ROWS:
            for column in columns:
                del column[1::2]
