"""A run as later commands need it: the fitted model, its cameras, and where its photos are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import runtime
from ..cameras.pinhole import scale_of
from ..config import FitConfig
from ..errors import BadInput, warn
from ..fields.model import Model
from ..methods.catalogue import method_of
from ..state import alike
from ..types import Cameras, CaptureReading
from .checkpoint import load_newest, refuse_not_finite, taken_apart
from .contents import EXPOSURES, MODEL_PARTS, read_contents
from .folder import SILHOUETTES, open_run


@dataclass(frozen=True)
class LoadedRun:
    """A fitted model and what its run knows of the capture.

    cameras: float64, camera -> normalised. T_world_normalised: (4, 4) float64. capture_folder: the photos' folder at
    the time of the fit; reading: how they were read. step: steps done. stops: (V, 3) EV, exposures of the photos, where
    they were fitted.
    """

    run: Path
    model: Model
    config: FitConfig
    cameras: Cameras
    T_world_normalised: np.ndarray
    capture_folder: Path
    step: int
    reading: CaptureReading
    stops: np.ndarray | None = None

    @property
    def unit(self) -> float:
        """Length of a normalised unit in the capture's world unit."""
        return scale_of(self.T_world_normalised)


def load_run(run: Path) -> LoadedRun:
    """The newest whole checkpoint of a run, on the running backend.

    >>> loaded = load_run(run)
    >>> points = loaded.cameras.centres.float()
    >>> bool((loaded.model.surface(points) > 0).all())  # no camera is inside the object
    True

    Raises InputMissing, BadInput, CannotCreate where the run holds links, Diverged where the network is not finite.
    """
    folder = open_run(run)
    config = folder.read_config()
    checkpoint = load_newest(folder.checkpoints, warn)
    if checkpoint is None:
        raise BadInput("no checkpoint", where=folder.checkpoints, why="the fit has not saved one", todo="fit again")
    refuse_not_finite(checkpoint, MODEL_PARTS)
    model = method_of(config).model(config, runtime.current().device)
    with taken_apart(checkpoint):
        model.load_tensors(checkpoint.tensors)
        frame, origin = read_contents(checkpoint)
        cameras, T = frame.cameras, frame.T_world_normalised
        fitted = checkpoint.tensors.get(EXPOSURES)
        stops = None if fitted is None else alike(fitted.double(), cameras.centres).numpy()
    reading = _where_it_is_now(origin.reading, run)
    return LoadedRun(run, model, config, cameras, T, origin.folder, checkpoint.step, reading, stops)


def _where_it_is_now(reading: CaptureReading, run: Path) -> CaptureReading:
    """A run that has been moved took its silhouettes along."""
    own = run.resolve() / SILHOUETTES
    moved = reading.silhouettes and Path(reading.silhouettes).name == SILHOUETTES and own.is_dir()
    return replace(reading, silhouettes=str(own)) if moved else reading
