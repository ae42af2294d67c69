"""What photos show beyond the field: their finest detail, on the texels of a mesh.

A photo and the field's picture from the same place differ in detail that the field is too coarse for, and in light,
which is smooth. Only the first is put on a texture, of the few photos that show a place best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor
from torch.nn.functional import grid_sample

from ..cameras.pinhole import projections
from ..tracing.triangles import Surface
from ..types import Cameras
from .texels import Texels
from .usual import places_in, seen_by

BEST = 3  # photos of a place
SHARP = 4.0  # power of how well a photo shows a place: that of the best is most of the detail
SMOOTH = 5.0  # pixels: what is wider is light, not detail
MARGIN = 6.0  # pixels from the silhouette at which a photo counts in full


@dataclass(frozen=True)
class Detail:
    """cameras: V, normalised frame. residual (3, H, W) of each: what its photo shows beyond the field. weights (P, V):
    how much of each belongs to each vertex of the mesh; rows add up to 1, or are 0 where no photo shows one."""

    cameras: Cameras
    residuals: list[Tensor]
    weights: Tensor

    def at(self, texels: Texels, corners: Tensor) -> Tensor:
        """(N, 3), to be added to the colours of texels whose faces have these corners (N, 3)."""
        found = torch.zeros_like(texels.points)
        for view, residual in enumerate(self.residuals):
            weight = (texels.shares * self.weights[corners, view]).sum(dim=1)
            some = torch.nonzero(weight)[:, 0]
            if len(some):
                found[some] += weight[some, None] * _sampled(residual, self.cameras, view, texels.points[some])
        return found


def photo_detail(
    surface: Surface,
    cameras: Cameras,
    photos: list[np.ndarray],
    masks: list[np.ndarray],
    rendered: Callable[[int], tuple[np.ndarray, np.ndarray]],
) -> Detail:
    """Of V photos (H, W, 3) in [0, 1], at the field's exposure, with their silhouettes (H, W) bool.

    rendered: the field's picture (H, W, 3) from the place of one, and which of its pixels show the object.
    """
    vertices = torch.from_numpy(surface.mesh.vertices).to(surface.normals)
    residuals, scores = [], vertices.new_zeros(len(vertices), len(cameras))
    for view, (photo, mask) in enumerate(zip(photos, masks, strict=True)):
        colour, hit = rendered(view)
        inside = mask & hit
        residuals.append(torch.from_numpy(_fine(photo - colour, inside)).to(vertices))
        some, towards = seen_by(surface, vertices, cameras, view)
        depth: Any = distance_transform_edt(inside)
        sure = torch.from_numpy(np.clip(depth / MARGIN, 0, 1)[None]).to(vertices)
        facing = -(towards * surface.normals[some]).sum(dim=1)
        distance = (vertices[some] - cameras.centres[view].to(vertices)).norm(dim=1)
        sampled = _sampled(sure, cameras, view, vertices[some])[:, 0]
        scores[some, view] = sampled * facing / distance * cameras.intrinsics[view, 0, 0].to(vertices)
    return Detail(cameras, residuals, _weights(scores))


def _weights(scores: Tensor) -> Tensor:
    """Rows (P, V) that add up to 1, of the best few scores of each; 0 where there are none."""
    count = min(BEST + 1, scores.shape[1])
    best, view = scores.topk(count, dim=1)
    # Less what the next one has, so that a photo fades out before another takes its place.
    rest = best[:, -1:] if scores.shape[1] > BEST else torch.zeros_like(best[:, :1])
    best = (best - rest).clamp_min(0) ** SHARP
    total = best.sum(dim=1, keepdim=True)
    return torch.zeros_like(scores).scatter(1, view, torch.where(total > 0, best / total.clamp_min(1e-30), 0.0))


def _fine(residual: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(3, H, W): without what is wider than SMOOTH pixels, of the pixels inside alone; 0 outside."""
    known = inside.astype(np.float32)
    near, channels = np.maximum(gaussian_filter(known, SMOOTH), 1e-3), np.moveaxis(residual * known[..., None], 2, 0)
    parts = [channel - gaussian_filter(channel, SMOOTH) / near for channel in channels]
    return np.stack(parts).astype(np.float32) * known


def _sampled(picture: Tensor, cameras: Cameras, view: int, points: Tensor) -> Tensor:
    """(N, C) of a picture (C, H, W) where a camera shows points (N, 3)."""
    places, _ = places_in(points, projections(cameras)[view].to(points))
    size = points.new_tensor([picture.shape[2], picture.shape[1]])
    grid = ((2 * places + 1) / size - 1)[None, None]
    return grid_sample(picture[None], grid, align_corners=False, padding_mode="zeros")[0, :, 0].T
