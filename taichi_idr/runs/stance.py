"""How files place the mesh of a run: upright, and in a unit that people know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..cameras.paths import mean_up
from ..capture.support import read_support
from ..errors import UsageError
from ..meshes.mesh import Stance, upright
from ..meshes.scale import Scale, found_scale
from ..meshes.units import METRES
from ..meshes.wanted import Placing
from .loading import LoadedRun
from .markers import Marked, marked

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # y upward to z upward


@dataclass(frozen=True)
class Placed:
    """T_file_world (4, 4): similarity; stance: of meshes in the file's frame; unit: of lengths there, in words; scale:
    where it was found of known distances; marked: the markers that told them."""

    T_file_world: np.ndarray
    stance: Stance
    unit: str
    scale: Scale | None
    marked: Marked | None = None

    @property
    def moves(self) -> bool:
        return not np.array_equal(self.T_file_world, np.eye(4))


def placed(loaded: LoadedRun, placing: Placing) -> Placed:
    """Raises UsageError where a unit is asked for and nobody knows the capture's; for a marker what `marked` raises."""
    found = marked(loaded, placing.marker) if placing.marker else None
    known = found.sides if found else placing.known
    scale = found_scale(known) if known else None
    metres = scale.metres if scale else METRES.get(placing.world_unit or "")
    unit = placing.unit or ("mm" if scale else placing.world_unit)
    if placing.unit and metres is None:
        todo = "say it with --world-unit, or a distance with --scale-points or --marker"
        raise UsageError("the capture's unit is not known", where=f"--unit {placing.unit}", todo=todo)
    turn = _turn(loaded)
    T = np.eye(4)
    if metres is not None and unit is not None:
        T[:3, :3] *= metres / METRES[unit]
    if placing.up:
        T[:3, :3] = (Z_UP @ turn if placing.up == "z" else turn) @ T[:3, :3]
        turn = Z_UP.T if placing.up == "z" else np.eye(3)
    return Placed(T, Stance(turn, METRES.get(unit or ""), np.linalg.inv(T)), unit or "world units", scale, found)


def _turn(loaded: LoadedRun) -> np.ndarray:
    """Rotation (3, 3) from the world to y upward, the first camera in front. Up is away from what the object stands
    on, where that is known, or as most photos have it."""
    if len(loaded.cameras) == 0:
        return np.eye(3)
    R = loaded.T_world_normalised[:3, :3] / loaded.unit
    support = read_support(loaded.capture_folder)
    up = R @ mean_up(loaded.cameras) if support is None else support.normal
    return upright(up, R @ loaded.cameras.centres[0].numpy())
