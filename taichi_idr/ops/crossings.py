"""How often rays leave and enter a mesh (kernels/crossings.py). Not differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import runtime
from ..kernels import crossings as kernels
from ..types import Rays
from .triangle_tree import TriangleTree

CHUNK = 1 << 16  # rays per launch: well under a second, so that signals are heard


def crossings(rays: Rays, tree: TriangleTree) -> tuple[Tensor, Tensor]:
    """Times (R,) int32 that each ray leaves the mesh through the back of a face less those that it enters through a
    front, and both together.

    Rays in the frame that the tree was built in, on the device of the runtime. One that passes an edge within rounding
    may count none or both of its faces: ask more than one ray.
    """
    origins, directions = tree.placed(rays.origins), rays.directions.to(tree.triangles).contiguous()
    winding, passed = (torch.empty_like(origins[:, 0], dtype=torch.int32) for _ in range(2))
    for start in range(0, len(rays), CHUNK):
        span = slice(start, start + CHUNK)
        arguments = (origins[span], directions[span], tree.triangles, tree.boxes, len(tree.order))
        runtime.launch(kernels.crossings, *arguments, winding[span], passed[span])
    return winding, passed
