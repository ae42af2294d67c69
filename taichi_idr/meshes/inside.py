"""Which points lie inside a closed mesh."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..ops.first_triangle import first_triangle
from ..ops.triangle_tree import TriangleTree
from ..types import Rays
from .mesh import Mesh

DIRECTIONS = ((0.31, 0.87, 0.38), (-0.79, 0.21, 0.58), (0.44, -0.36, -0.82))
"""Along none of them do edges of usual meshes lie."""
STEP = 1e-5  # beyond a face that was met, in the length of the mesh's box


def inside_mesh(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    """Whether points (N, 3) lie inside a closed mesh whose faces look outward, (N,) bool.

    A ray leaves the mesh as often as it enters it, and once more for each body that it began in (the winding number),
    so bodies may overlap. Two rays of each point are counted, and where these disagree, for they hit an edge, a third.
    """
    corners = torch.from_numpy(mesh.vertices[mesh.faces])
    tree, places = TriangleTree.build(corners), torch.from_numpy(points)
    outward = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    step = STEP * float(np.linalg.norm(np.ptp(mesh.vertices, axis=0)))
    votes = [_left(tree, outward, places, direction, step) for direction in DIRECTIONS[:2]]
    doubtful = votes[0] != votes[1]
    found = votes[0].clone()
    found[doubtful] = _left(tree, outward, places[doubtful], DIRECTIONS[2], step)
    return found.numpy()


def _left(
    tree: TriangleTree, outward: Tensor, points: Tensor, direction: tuple[float, float, float], step: float
) -> Tensor:
    """Whether a ray of each point leaves the mesh more often than it enters it, (N,) bool."""
    along = torch.tensor(direction, dtype=points.dtype)
    along /= along.norm()
    exits, place = torch.zeros(len(points), dtype=torch.int64), points.clone()
    going = torch.arange(len(points))
    while len(going):
        depth, face = first_triangle(Rays(place[going], along.expand(len(going), 3).contiguous()), tree)
        depth, face = depth.cpu(), face.cpu()
        met = face >= 0
        going, face = going[met], face[met]
        exits[going] += torch.where(outward[face] @ along > 0, 1, -1)
        place[going] += (depth[met].to(place) + step)[:, None] * along
    return exits > 0
