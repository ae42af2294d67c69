"""A mesh that rays are cast at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .. import runtime
from ..meshes.mesh import Mesh
from ..ops.first_triangle import first_triangle
from ..ops.triangle_tree import TriangleTree
from ..types import Rays


@dataclass(frozen=True)
class Met:
    """Where R rays meet a mesh. depth (R,) along the unit ray, inf where missed; face (R,) int64, -1 where missed."""

    depth: Tensor
    face: Tensor

    @property
    def hit(self) -> Tensor:
        return self.face >= 0


class Surface:
    """A mesh in the normalised frame, on the device and in the precision of the running backend."""

    def __init__(self, mesh: Mesh) -> None:
        target = {"dtype": runtime.current().dtype, "device": runtime.current().device}
        corners = torch.from_numpy(mesh.vertices[mesh.faces])
        self.mesh = mesh
        self.tree = TriangleTree.build(corners)
        self.corners = corners.to(**target)  # (F, 3, 3)
        self.faces = torch.from_numpy(mesh.faces).long().to(target["device"])  # (F, 3)
        self.normals = torch.from_numpy(mesh.normals).to(**target)  # (V, 3)

    def meet(self, rays: Rays) -> Met:
        """The first triangles along rays (R,)."""
        return Met(*first_triangle(rays, self.tree))

    def flat_normals(self, face: Tensor) -> Tensor:
        """Unit normals (N, 3) of faces (N,); 0 of one without area."""
        a, b, c = self.corners[face].unbind(1)
        return normalize(torch.linalg.cross(b - a, c - a), dim=1, eps=torch.finfo(a.dtype).tiny)

    def shares(self, points: Tensor, face: Tensor) -> Tensor:
        """Of the corners of faces (N,) at points (N, 3) in them: barycentric coordinates (N, 3), none negative."""
        a, b, c = self.corners[face].unbind(1)
        normal = torch.linalg.cross(b - a, c - a)
        sides = ((b, c), (c, a), (a, b))
        parts = [(torch.linalg.cross(q - p, points - p) * normal).sum(dim=1) for p, q in sides]
        positive = torch.stack(parts, dim=1).clamp_min(torch.finfo(points.dtype).tiny)
        return positive / positive.sum(dim=1, keepdim=True)

    def between(self, values: Tensor, points: Tensor, face: Tensor) -> Tensor:
        """What the vertices' values (V, C) are at points (N, 3) in faces (N,)."""
        return (self.shares(points, face)[..., None] * values[self.faces[face]]).sum(dim=1)

    def smooth_normals(self, points: Tensor, face: Tensor, directions: Tensor) -> Tensor:
        """Unit normals (N, 3) between those of the vertices, on the side from which rays of `directions` come."""
        normal = normalize(self.between(self.normals, points, face), dim=1)
        return torch.where((normal * directions).sum(dim=1, keepdim=True) > 0, -normal, normal)
