"""The fitted model behind a scene, loaded when it is first asked for: it takes longer to open than all else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from .. import runtime
from ..meshes.mesh import Mesh, transformed
from ..pictures.colours import eight_bit, normal_colours
from ..pictures.rendering import render_view
from ..runs.loading import LoadedRun, load_run
from ..runs.meshing import Mesher
from ..types import Cameras

RESOLUTION = 128  # of a mesh that is made for the viewer: some 100,000 faces, in seconds
PICTURE_PIXELS = 360  # longer side


class Eye:
    """Meshes and pictures of a run's newest checkpoint."""

    def __init__(self, run: Path, arch: runtime.Arch = "cpu") -> None:
        self._run: Path = run
        self._arch: runtime.Arch = arch
        self._loaded: LoadedRun | None = None

    @property
    def loaded(self) -> LoadedRun:
        """Raises InputMissing, BadInput, Unavailable."""
        if self._loaded is None:
            runtime.init(self._arch)
            self._loaded = load_run(self._run)
        return self._loaded

    def forget(self) -> None:
        """The run has a newer checkpoint."""
        self._loaded = None

    def mesh(self, resolution: int = RESOLUTION) -> Mesh:
        """In the normalised frame, coloured at its vertices. Raises as `loaded`, Diverged where there is no surface."""
        fine, _ = Mesher(self.loaded).fine(resolution)
        return replace(transformed(fine, np.linalg.inv(self.loaded.T_world_normalised)), extraction=None)

    def picture(self, quaternion: np.ndarray, centre: np.ndarray, fov: float, aspect: float) -> np.ndarray:
        """Rendering beside normals (H, 2 W, 3) uint8 from a camera -> normalised frame; fov: radians, upright."""
        height, width = _size(aspect)
        focal, middle = height / (2 * np.tan(fov / 2)), ((width - 1) / 2, (height - 1) / 2)
        K = torch.tensor([[[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]]], dtype=torch.float64)
        camera = Cameras(torch.from_numpy(quaternion)[None], torch.from_numpy(centre)[None], K)
        rendered = render_view(self.loaded.model, camera, height, width)
        return eight_bit(np.concatenate([rendered.colour, normal_colours(rendered, camera)], axis=1))


def _size(aspect: float) -> tuple[int, int]:
    """Height, width."""
    height = PICTURE_PIXELS / max(aspect, 1.0)
    return max(round(height), 1), max(round(aspect * height), 1)
