"""The photos of a run's capture beside the run's cameras, in the run's normalised frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..cameras.pinhole import shrunk
from ..capture.reading import read_capture
from ..errors import InputMissing
from ..fields.model import LoadedRun
from ..types import Cameras, Capture

HELDOUT = "heldout"


@dataclass(frozen=True)
class RunViews:
    """`capture` as read from disk; `cameras` float64, camera -> normalised frame of the run, one for each
    photo."""

    capture: Capture
    cameras: Cameras

    def __len__(self) -> int:
        return len(self.capture)

    def subset(self, indices: list[int]) -> RunViews:
        whole = self.capture
        images, masks, names = ([part[i] for i in indices] for part in (whole.images, whole.masks, whole.names))
        files, cameras = tuple(whole.files[i] for i in indices), whole.cameras[indices]
        capture = replace(whole, images=images, masks=masks, names=names, files=files, cameras=cameras)
        return RunViews(capture, self.cameras[indices])


def training_views(loaded: LoadedRun, *, downscale: int | None = None) -> RunViews:
    """The photos that the run was fitted to; `downscale` as in the fit by default.

    Raises InputMissing where the capture has gone, BadInput where it has changed.
    """
    factor = downscale or loaded.config.downscale
    capture = _read(loaded, loaded.capture_folder, factor, **_without_lost_poses(loaded))
    if len(capture) != len(loaded.cameras):
        why = f"it has {len(capture)} photos, the run knows {len(loaded.cameras)}"
        raise InputMissing("capture has changed", where=loaded.capture_folder, why=why, todo="fit again")
    return RunViews(capture, shrunk(loaded.cameras, factor / loaded.config.downscale))


def heldout_views(
    loaded: LoadedRun, *, downscale: int | None = None, T_capture_run: np.ndarray | None = None
) -> RunViews | None:
    """The photos in `heldout/`, which no fit has seen; None where there are none.

    T_capture_run: (4, 4) similarity from the run's world frame to that of these photos, where they differ
    (CAM-9).
    """
    folder = loaded.capture_folder / HELDOUT
    if not folder.is_dir():
        return None
    T = (np.eye(4) if T_capture_run is None else T_capture_run) @ loaded.T_world_normalised
    factor = downscale or loaded.config.downscale
    own = {"cameras_file": None, "T_world_normalised": T}
    capture = _read(loaded, folder, factor, **own, fewest_views=1)
    return RunViews(capture, capture.cameras)


def _without_lost_poses(loaded: LoadedRun) -> dict[str, Any]:
    """Where the file of poses that the fit began with has gone, the run knows all that is needed of it."""
    file = loaded.reading.get("cameras_file")
    if not file or (loaded.capture_folder / file).is_file():
        return {}
    return {"cameras_file": None, "T_world_normalised": loaded.T_world_normalised}


def _read(loaded: LoadedRun, folder: Path, factor: int, **more: Any) -> Capture:
    return read_capture(folder, downscale=factor, **{**loaded.reading, **more})
