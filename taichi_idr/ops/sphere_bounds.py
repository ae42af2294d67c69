"""Bridge to the bounding sphere (kernels/sphere_bounds.py)."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import runtime
from ..kernels import sphere_bounds as kernels


def sphere_bounds(origins: Tensor, directions: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """Depths near (R,) and far (R,), both >= 0, at which unit rays cross the sphere; hit (R,) bool (TRACE-1).

    origins, directions (R, 3) and radius are in the normalised frame. Not differentiable. A sphere behind the origin
    is hit with near = far = 0; a missed one has near = far.
    """
    if origins.ndim != 2 or origins.shape[1] != 3 or origins.shape != directions.shape:
        got = f"{tuple(origins.shape)} and {tuple(directions.shape)}"
        raise ValueError(f"sphere_bounds: expected origins and directions (R, 3), got {got}")
    rays = [tensor.detach().contiguous() for tensor in (origins, directions)]
    near, far = (rays[0].new_empty(len(origins)) for _ in range(2))
    hit = torch.zeros(len(origins), dtype=torch.int32, device=origins.device)
    if len(origins):
        runtime.launch(kernels.sphere_bounds, *rays, radius, near, far, hit)
    return near, far, hit != 0
