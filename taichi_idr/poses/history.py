"""Poses at the logged steps of a fit, and their file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..files.npz import read_npz
from ..files.writing import write_filled
from ..types import Cameras

HISTORY_FILE = "history.npz"
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
    write_filled(file, lambda data: np.savez(data, **arrays))  # pyright: ignore[reportArgumentType]
