"""The surface of a run as its meshes have it."""

from __future__ import annotations

import numpy as np

from ..capture.support import read_support
from ..meshes.standing import standing
from ..types import Sdf
from .loading import LoadedRun


def run_surface(loaded: LoadedRun) -> Sdf:
    """Signed distance, normalised frame: the model's, with a flat underside where the capture says what the object
    stands on. Raises BadInput for a support.json that cannot be read."""
    support = read_support(loaded.capture_folder)
    if support is None:
        return loaded.model.surface
    in_run = support.moved(np.linalg.inv(loaded.T_world_normalised))
    return standing(loaded.model.surface, in_run, loaded.cameras, loaded.model.radius)
