"""Colours at the vertices of a mesh."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .. import runtime
from .mesh import Mesh

QUERY_CHUNK = 1 << 18  # points
BLENDED_VIEWS = 4
Colour = Callable[[Tensor, Tensor], Tensor]
"""Points (N, 3) and outward unit normals (N, 3), normalised frame -> colours (N, 3) in [0, 1]."""


def viewing_directions(points: Tensor, normals: Tensor, centres: Tensor) -> Tensor:
    """Unit directions (N, 3) in which the cameras at `centres` (V, 3) see each point most squarely.

    A renderer knows the directions of its photos only: of the few cameras nearest to the normal the mean
    direction is taken, weighted so that a camera fades out before another takes its place (no seams). A point
    that no camera faces is seen along its normal.
    """
    mean = -normals
    count = min(BLENDED_VIEWS, len(centres) - 1)
    if count < 1:
        return mean
    parts = []
    for place, normal in zip(points.split(QUERY_CHUNK // 8), normals.split(QUERY_CHUNK // 8), strict=True):
        towards = torch.nn.functional.normalize(centres[None] - place[:, None], dim=2)
        cosine, index = (towards @ normal[:, :, None])[..., 0].topk(count + 1, dim=1)
        weight = (cosine[:, :-1] - cosine[:, -1:]) * (cosine[:, :-1] > 0)
        blend = (weight[..., None] * towards.gather(1, index[:, :-1, None].expand(-1, -1, 3))).sum(dim=1)
        length = blend.norm(dim=1, keepdim=True)
        parts.append(torch.where(length > 1e-6, -blend / length.clamp_min(1e-6), -normal))
    return torch.cat(parts)


def vertex_colours(mesh: Mesh, colour: Colour) -> np.ndarray:
    """Colours (V, 3) uint8 sRGB at the vertices of a mesh in the normalised frame."""
    target = {"dtype": runtime.current().dtype, "device": runtime.current().device}
    points, normals = torch.from_numpy(mesh.vertices), torch.from_numpy(mesh.normals)
    parts = []
    for place, normal in zip(points.split(QUERY_CHUNK), normals.split(QUERY_CHUNK), strict=True):
        parts.append((colour(place.to(**target), normal.to(**target)).clamp(0, 1) * 255).round().byte().cpu())
    return torch.cat(parts).numpy()
