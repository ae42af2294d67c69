"""Masks that the program cut from photos, cut anew where the shape half-way has its outlines (docs/decisions/0030)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from ...machine import available_cores
from ...masking.refining import refined
from ...poses.parameters import Poses
from ...types import Capture
from .model import FastModel

LONGER_SIDE = 240  # of the traced silhouettes: colours decide in a band of several such pixels


def refined_masks(
    model: FastModel,
    poses: Poses,
    capture: Capture,
    between: Callable[[], None],
) -> list[np.ndarray]:
    """V of (H, W) bool: the capture's masks, those refined that are cut. `between` may raise, and nothing has happened.

    Raises Unavailable without OpenCV.
    """
    found = [*capture.masks]
    with ThreadPoolExecutor(available_cores()) as pool:  # one view is cut while the next is traced
        parts = {}
        for view in np.flatnonzero(capture.cut).tolist():
            shape = _silhouette(model, poses, view, found[view].shape)
            parts[view] = pool.submit(refined, capture.images[view], found[view], shape)
            between()
    for view, part in parts.items():
        found[view] = part.result()
    return found


@torch.no_grad()
def _silhouette(model: FastModel, poses: Poses, view: int, shape: tuple[int, ...]) -> np.ndarray:
    """(h, w) bool: of the surface in a small photo of a view whose photo has this shape."""
    height, width = shape
    stride = max(1.0, max(shape) / LONGER_SIDE)
    rows, columns = (torch.arange(round(side / stride), dtype=torch.float32) for side in (height, width))
    down, across = height / len(rows), width / len(columns)
    row, column = torch.meshgrid((rows + 0.5) * down - 0.5, (columns + 0.5) * across - 0.5, indexing="ij")
    places = torch.stack([column, row], dim=-1).reshape(-1, 2).to(model.device)
    rays = poses.rays(torch.full((len(places),), view, dtype=torch.int32, device=model.device), places)
    hit = model.trace(rays.detach(), preview=True).hit
    return hit.view(len(rows), len(columns)).cpu().numpy()
