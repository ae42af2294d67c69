"""A mesh with its colours, as pictures and files ask for them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..meshes.colours import viewing_directions
from ..meshes.unseen import filled
from ..tracing.mesh_looks import MeshLooks
from ..tracing.triangles import Surface
from .networks import ColourNetwork, Sight


class PaintedMesh(MeshLooks):
    """A surface and the network of its colours. What no photo shows has the colours of what is seen nearest.

    centres (K, 3): of the cameras, in whose directions vertices are looked at. seen_vertices (V,) bool; seen_faces (F,)
    bool, of which the network knows. `light` is the number of the lighting condition that it is shown in.
    """

    def __init__(
        self, surface: Surface, network: ColourNetwork, centres: Tensor, seen_vertices: Tensor, seen_faces: Tensor
    ) -> None:
        super().__init__(surface)
        self.network = network
        self.centres = centres.to(surface.normals)
        self.seen_vertices = seen_vertices
        self.seen_faces = seen_faces | seen_vertices[surface.faces].any(dim=1)
        self.light = 0
        self._in_light: dict[int, Tensor] = {}

    @property
    def vertex_colours(self) -> Tensor:
        """(V, 3) in [0, 1], seen from where the cameras see them most squarely, worked out once for each light."""
        if self.light not in self._in_light:
            self._in_light[self.light] = self._vertex_colours()
        return self._in_light[self.light]

    def shaded(self, points: Tensor, face: Tensor, normals: Tensor, directions: Tensor, depth: Tensor) -> Tensor:
        return self.colours(points, directions, face)

    @torch.no_grad()
    def colours(self, points: Tensor, directions: Tensor, face: Tensor) -> Tensor:
        """Colours (N, 3) in [0, 1] of points (N, 3) in faces (N,), seen along unit directions (N, 3)."""
        result, known = torch.empty_like(points), self.seen_faces[face]
        place, along = points[known], directions[known]
        result[known] = self._asked(place, along, self.surface.smooth_normals(place, face[known], along))
        if not bool(known.all()):
            result[~known] = self.surface.between(self.vertex_colours, points[~known], face[~known])
        return result

    def colours_8_bit(self) -> np.ndarray:
        """Of the vertices, (V, 3) uint8 sRGB."""
        return (self.vertex_colours * 255).round().byte().cpu().numpy()

    @torch.no_grad()
    def _vertex_colours(self) -> Tensor:
        vertices = torch.from_numpy(self.surface.mesh.vertices).to(self.surface.normals)
        directions = viewing_directions(vertices, self.surface.normals, self.centres)
        facing = (self.surface.normals * directions).sum(dim=1, keepdim=True)
        normals = torch.where(facing > 0, -self.surface.normals, self.surface.normals)
        colours = self._asked(vertices, directions, normals)
        return filled(colours, vertices, self.surface.faces, self.seen_vertices).clamp(0, 1)

    def _asked(self, points: Tensor, directions: Tensor, normals: Tensor) -> Tensor:
        light = torch.full_like(points[:, 0], self.light, dtype=torch.int64)
        sight = Sight(points.contiguous(), directions, normals, light)
        return torch.cat([self.network(part) for part in sight.split(self.chunk)]).clamp(0, 1)
