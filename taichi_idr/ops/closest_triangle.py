"""Distance from points to a mesh (kernels/closest_triangle.py). Not differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import runtime
from ..kernels import closest_triangle as kernels
from .triangle_tree import TriangleTree

CHUNK = 1 << 15  # points per launch: well under a second, so that signals are heard


def closest_triangle(points: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (N,) from points (N, 3) to the nearest of the triangles `corners` (F, 3, 3), and its index
    (N,) int64.

    In the precision of the kernels, on the device of the runtime; F > 0.
    """
    if points.ndim != 2 or points.shape[1] != 3 or corners.ndim != 3 or corners.shape[1:] != (3, 3) or not len(corners):
        shapes = f"{tuple(points.shape)} and {tuple(corners.shape)}"
        raise ValueError(f"closest_triangle: expected points (N, 3) and corners (F, 3, 3), F > 0, got {shapes}")
    tree = TriangleTree.build(corners)
    points = tree.placed(points)
    leaf = tree.leaves_near(points)
    distance, row = torch.empty_like(points[:, 0]), torch.empty_like(leaf)
    for part in torch.arange(len(points)).split(CHUNK):
        span = slice(int(part[0]), int(part[-1]) + 1) if len(part) else slice(0)
        arguments = (points[span], tree.triangles, tree.boxes, leaf[span], distance[span], row[span])
        runtime.launch(kernels.closest_triangle, *arguments)
    return distance * tree.unit, tree.numbers(row)
