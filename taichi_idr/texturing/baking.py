"""Textures of the field that a mesh was made of.

A texel is asked where the field has its surface, beside the flat face: a light mesh keeps the colours and the shading
of the fine one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..meshes.colours import viewing_directions
from ..meshes.texture import Atlas, Texture
from ..tracing.triangles import Surface
from ..types import Cameras
from .field import PaintedField
from .photos import Detail
from .tangents import in_tangent_space, tangents_of
from .texels import TexelGrid
from .usual import usual_colours

DENSITY = 1.5  # texels along an axis for a pixel of the nearest photos
FILLED = 0.7  # of a picture, by its charts, about
SMALLEST, LARGEST = 512, 4096  # texels along the longer side


def baked(
    surface: Surface,
    atlas: Atlas,
    field: PaintedField,
    cameras: Cameras,
    *,
    detail: Detail | None = None,
    normal_map: bool = False,
) -> Texture:
    """Texture of a mesh in the normalised frame, in the colours that most photos show of the field's surface; detail of
    the photos is added."""
    mesh = surface.mesh
    usual = usual_colours(surface, field, cameras)
    grid = TexelGrid(surface, atlas)
    directions = viewing_directions(grid.vertices, surface.normals, field.centres.to(grid.vertices))
    tangents = tangents_of(mesh, atlas) if normal_map else None
    colours, normals = [], []
    for texels in grid:
        points, corners = field.on_surface(texels.points, texels.normals), surface.faces[texels.face]
        along = normalize((texels.shares[..., None] * directions[corners]).sum(dim=1), dim=1)
        colour = torch.zeros_like(points)
        known = usual.seen[corners].any(dim=1)  # others are guessed from these
        colour[known] = field.colour(points[known], along[known]).clamp(0, 1)
        colour = usual.corrected(colour, corners, texels.shares)
        colours.append(_eight_bit(colour if detail is None else colour + detail.at(texels, corners)))
        if tangents is not None:
            found = in_tangent_space(field.normals(points), texels, tangents, atlas)
            normals.append(_eight_bit((found + 1) / 2))
    picture = grid.picture(np.concatenate(colours))
    if tangents is None:
        return Texture(atlas, picture)
    return Texture(atlas, picture, grid.picture(np.concatenate(normals)), tangents)


def fitting_size(area: float, footprint: float) -> int:
    """Texels along a side that show what photos do: a power of two. area: of the mesh; footprint: length of a pixel
    there, in one unit."""
    texels = np.sqrt(area / FILLED) * DENSITY / footprint
    return int(np.clip(2 ** np.ceil(np.log2(max(texels, 1.0))), SMALLEST, LARGEST))


def _eight_bit(shares: Tensor) -> np.ndarray:
    return (shares.clamp(0, 1) * 255).round().byte().cpu().numpy()
