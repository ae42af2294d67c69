"""What is inside a closed mesh (OCC-3 of docs/methods.md), by how often rays leave it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from .. import runtime
from ..errors import BadInput
from ..ops.crossings import crossings
from ..ops.triangle_tree import TriangleTree
from ..types import Rays
from .mesh import Mesh, make_mesh, transformed, volume

RAYS, MORE_RAYS = 3, 4  # that are asked at each point, and more where those do not agree
FLAT = 1e-9  # of the cube of the box's longest edge: a volume that encloses nothing


@dataclass(frozen=True)
class Edges:
    """Of a mesh: how many there are, how many belong to an odd number of faces, and how many run through as many faces
    in one direction as in the other."""

    count: int
    open: int
    balanced: int


@dataclass(frozen=True)
class Solid:
    """A closed mesh, its box centred in the unit cube whose edge is the box's longest; mesh: in that frame.

    T_world_normalised (4, 4): from that frame to the file's. oriented: whether its faces agree on what is outside; else
    a place is inside where rays pass an odd number of them.
    """

    mesh: Mesh
    T_world_normalised: np.ndarray
    oriented: bool
    tree: TriangleTree

    def contains(self, points: Tensor, generator: torch.Generator) -> Tensor:
        """Which of points (N, 3) of the normalised frame are inside, (N,) bool, by rays in random directions."""
        votes = self._votes(points, RAYS, generator)
        unsure = ((votes > 0) & (votes < RAYS)).nonzero()[:, 0]
        votes[unsure] += self._votes(points[unsure], MORE_RAYS, generator)
        needed = torch.full_like(votes, RAYS)
        needed[unsure] += MORE_RAYS
        return 2 * votes > needed

    def _votes(self, points: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """How many of `count` rays from each point say that it is inside."""
        votes = torch.zeros(len(points), dtype=torch.int32, device=points.device)
        for _ in range(count):
            directions = normalize(torch.randn(len(points), 3, generator=generator), dim=1).to(points)
            winding, passed = crossings(Rays(points, directions), self.tree)
            votes += (winding > 0 if self.oriented else passed % 2 == 1).to(votes)
        return votes


def make_solid(mesh: Mesh, where: Path) -> Solid:
    """Raises BadInput, naming the file `where`, for a mesh that is open or encloses nothing."""
    vertices, faces = welded(mesh.vertices, mesh.faces)
    edges = count_edges(faces, len(vertices))
    if edges.open or not edges.count:
        why = f"{edges.open:,} of its {edges.count:,} edges are open: nothing is inside it"
        todo = "close its holes, for example with tidr points, which takes a mesh's vertices"
        raise BadInput("mesh is not watertight", where=where, why=why, todo=todo)
    size = float(np.ptp(vertices, axis=0).max())
    enclosed, oriented = volume(vertices, faces) / size**3, edges.balanced == edges.count
    if oriented and abs(enclosed) < FLAT:
        raise BadInput("mesh encloses nothing", where=where, why="its volume is 0", todo="give it a thickness")
    if enclosed < 0:
        faces = faces[:, ::-1]
    T = np.eye(4)
    T[:3, :3] *= size
    T[:3, 3] = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    placed = transformed(make_mesh(vertices, np.ascontiguousarray(faces)), np.linalg.inv(T))
    corners = torch.from_numpy(placed.vertices[placed.faces]).to(runtime.current().device)
    return Solid(placed, T, oriented, TriangleTree.build(corners))


def inside_mesh(mesh: Mesh, points: np.ndarray, where: Path = Path("mesh")) -> np.ndarray:
    """Whether points (N, 3), in the frame of a closed mesh, lie inside, (N,) bool. Raises BadInput as `make_solid`."""
    solid = make_solid(mesh, where)
    inverse = np.linalg.inv(solid.T_world_normalised)
    places = torch.from_numpy(points @ inverse[:3, :3].T + inverse[:3, 3])
    return solid.contains(places, torch.Generator().manual_seed(0)).cpu().numpy()


def welded(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with one vertex at each position that a face uses; faces that have no area for it are gone."""
    positions, number = np.unique(vertices[faces.ravel()], axis=0, return_inverse=True)
    corners = number.reshape(faces.shape).astype(np.int32)
    return positions, corners[(corners != np.roll(corners, 1, axis=1)).all(axis=1)]


def count_edges(faces: np.ndarray, vertex_count: int) -> Edges:
    """Of faces (F, 3). A mesh is closed where no edge is open: a place is inside it or not."""
    starts, ends = faces.astype(np.int64).ravel(), np.roll(faces, -1, axis=1).astype(np.int64).ravel()
    low, high = np.minimum(starts, ends), np.maximum(starts, ends)
    _, number = np.unique(low * vertex_count + high, return_inverse=True)
    used, signed = np.bincount(number), np.bincount(number, weights=np.where(starts < ends, 1, -1))
    return Edges(len(used), int((used % 2).sum()), int((signed == 0).sum()))
