"""A field with colours, as textures ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from ..meshes.colours import viewing_directions
from ..types import Sdf


@dataclass(frozen=True)
class PaintedField:
    """Normalised frame. surface, gradient: f (N,) and its gradient (N, 3); colour: in [0, 1], of points (N, 3) seen
    along unit directions (N, 3); centres (V, 3) of the cameras; reach: how far from a mesh its surface may be."""

    surface: Sdf
    gradient: Callable[[Tensor], Tensor]
    colour: Callable[[Tensor, Tensor], Tensor]
    centres: Tensor
    reach: float

    def seen_squarely(self, points: Tensor, normals: Tensor) -> Tensor:
        """Colours (N, 3) of points (N, 3) with normals (N, 3), as `viewing_directions` has it."""
        return self.colour(points, viewing_directions(points, normals, self.centres.to(points)))

    def on_surface(self, points: Tensor, normals: Tensor) -> Tensor:
        """The zero near to points (N, 3), along unit normals (N, 3) by as much as the field says that it is away, no
        farther than the reach."""
        return points - self.surface(points).clamp(-self.reach, self.reach)[:, None] * normals

    def normals(self, points: Tensor) -> Tensor:
        """Unit normals (N, 3)."""
        return normalize(self.gradient(points), dim=1)
