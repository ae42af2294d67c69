"""Where rays first meet a mesh (kernels/first_triangle.py). Not differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import runtime
from ..kernels import first_triangle as kernels
from ..types import Rays
from .triangle_tree import TriangleTree

CHUNK = 1 << 16  # rays per launch: well under a second, so that signals are heard


def first_triangle(rays: Rays, tree: TriangleTree) -> tuple[Tensor, Tensor]:
    """Distance (R,) along each ray to the nearest triangle before it, whichever side it shows, and its index (R,)
    int64; inf and -1 where there is none.

    Rays in the frame that the tree was built in, on the device of the runtime.
    """
    origins, directions = tree.placed(rays.origins), rays.directions.to(tree.triangles).contiguous()
    depth, row = torch.empty_like(origins[:, 0]), torch.empty_like(origins[:, 0], dtype=torch.int32)
    for start in range(0, len(rays), CHUNK):
        span = slice(start, start + CHUNK)
        arguments = (origins[span], directions[span], tree.triangles, tree.boxes, depth[span], row[span])
        runtime.launch(kernels.first_triangle, *arguments)
    return depth * tree.unit, torch.where(row < 0, -1, tree.numbers(row))
