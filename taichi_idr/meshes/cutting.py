"""Parts of a surface cut away, and closed where they were."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..types import Sdf
from .wanted import Cut


def cut_away(sdf: Sdf, cut: Cut, T_world_normalised: np.ndarray) -> Sdf:
    """The signed distance, normalised frame, of what a cut leaves of a surface; flat where it was cut."""
    T = torch.from_numpy(T_world_normalised)
    normals, offsets = _walls(cut)
    unit = float(torch.linalg.norm(T[:3, 0]))

    def kept(points: Tensor) -> Tensor:
        world = points.double() @ T[:3, :3].T.to(points.device) + T[:3, 3].to(points.device)
        beyond = offsets.to(points.device) - world @ normals.to(points.device).T  # (N, W) world unit
        return torch.maximum(sdf(points), (beyond.amax(dim=1) / unit).to(points))

    return kept


def _walls(cut: Cut) -> tuple[Tensor, Tensor]:
    """normals (W, 3) and offsets (W,) of half spaces normal . x >= offset."""
    walls = list(cut.planes)
    if cut.box is not None:
        low, high = np.array(cut.box).reshape(2, 3)
        walls += [(*axis, low @ axis) for axis in np.eye(3)]
        walls += [(*-axis, -high @ axis) for axis in np.eye(3)]
    table = torch.tensor(walls, dtype=torch.float64)
    return table[:, :3], table[:, 3]
