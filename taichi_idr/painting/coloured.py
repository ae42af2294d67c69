"""A mesh with colours at its vertices, as pictures ask for it."""

from __future__ import annotations

from torch import Tensor

from ..tracing.mesh_looks import MeshLooks
from ..tracing.triangles import Surface

DARKEST = 0.35  # of a surface seen edge-on, as a share of one that faces the camera


class ColouredMesh(MeshLooks):
    """A surface and colours (V, 3) in [0, 1] of its vertices, lit from where it is looked at."""

    def __init__(self, surface: Surface, colours: Tensor) -> None:
        super().__init__(surface)
        self.colours = colours.to(surface.normals)

    def shaded(self, points: Tensor, face: Tensor, normals: Tensor, directions: Tensor, depth: Tensor) -> Tensor:
        light = DARKEST - (1 - DARKEST) * (normals * directions).sum(dim=1, keepdim=True)
        return self.surface.between(self.colours, points, face) * light
