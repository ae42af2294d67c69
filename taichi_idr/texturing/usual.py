"""Colours that suit all photos at once: of what shines, a texture can show one side only.

The field is asked for every texel as the cameras see it most squarely, which is sharp, and for every vertex as many of
them see it. By how much the two differ there is smooth, and is added to the texels between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..cameras.pinhole import projections
from ..meshes.unseen import filled
from ..tracing.triangles import Surface
from ..types import Cameras, Rays
from .field import PaintedField

MOST_VIEWS = 24
GRAZING = 0.15  # |n . v| below which a photo says little of a place
ROUNDS = 16  # of smoothing, about four edges wide
OFF = 1e-3  # normalised units that rays begin above the surface


@dataclass(frozen=True)
class UsualColours:
    """At the vertices of a mesh. change (V, 3): from how they look squarely to how they usually look, 0 where no camera
    sees them; guess (V, 3): smooth colours from the border of what is seen; seen (V,) bool: whether any camera does."""

    change: Tensor
    guess: Tensor
    seen: Tensor

    def corrected(self, colours: Tensor, corners: Tensor, shares: Tensor) -> Tensor:
        """Colours (N, 3) of points seen squarely, as they usually look; corners (N, 3): vertices around each, shares
        (N, 3): barycentric coordinates."""
        known = shares * self.seen[corners]
        change = (known[..., None] * self.change[corners]).sum(dim=1)
        guessed = ((shares - known)[..., None] * self.guess[corners]).sum(dim=1)
        return known.sum(dim=1, keepdim=True) * colours + change + guessed


def usual_colours(surface: Surface, field: PaintedField, cameras: Cameras) -> UsualColours:
    """Of a mesh in the normalised frame, of whose field up to MOST_VIEWS of the cameras ask: the median of what they
    see."""
    vertices = torch.from_numpy(surface.mesh.vertices).to(surface.normals)
    square = field.seen_squarely(vertices, surface.normals).clamp(0, 1)
    if len(cameras) == 0:
        return UsualColours(torch.zeros_like(square), square, torch.ones_like(vertices[:, 0], dtype=torch.bool))
    views = np.unique(np.linspace(0, len(cameras) - 1, MOST_VIEWS).round().astype(int)).tolist()
    found = vertices.new_full((len(views), *vertices.shape), torch.nan)
    for row, view in zip(found, views, strict=True):
        some, direction = seen_by(surface, vertices, cameras, view)
        row[some] = field.colour(vertices[some], direction).clamp(0, 1)
    seen = found[..., 0].isfinite().any(dim=0)
    usual = torch.where(seen[:, None], found.nanmedian(dim=0).values.nan_to_num(), square)
    change = _smooth(torch.where(seen[:, None], usual - square, 0.0), surface.faces, seen)
    return UsualColours(change, filled(usual, vertices, surface.faces, seen), seen)


def _smooth(values: Tensor, faces: Tensor, known: Tensor) -> Tensor:
    """Values (V, 3), each the mean of what is known around it, ROUNDS times over; the others 0. Medians jump where half
    of the cameras see a shadow."""
    weight, corners = known.to(values)[:, None], faces.T
    for _ in range(ROUNDS):
        total, count = values * weight, weight.clone()
        for here, there in ((0, 1), (1, 2), (2, 0)):
            total.index_add_(0, corners[here], (values * weight)[corners[there]])
            count.index_add_(0, corners[here], weight[corners[there]])
        values = torch.where(known[:, None], total / count.clamp_min(1), 0.0)
    return values


def seen_by(surface: Surface, vertices: Tensor, cameras: Cameras, view: int) -> tuple[Tensor, Tensor]:
    """Numbers (N,) of the vertices that a camera sees, and the unit directions (N, 3) in which."""
    places, depth = places_in(vertices, projections(cameras)[view].to(vertices))
    # A picture reaches as far to one side of the principal point as to the other, nearly.
    middle = cameras.intrinsics[view, :2, 2].to(vertices)
    inside = ((places - middle).abs() <= middle + 1).all(dim=1) & (depth > 0)
    towards = cameras.centres[view].to(vertices) - vertices
    towards = towards / towards.norm(dim=1, keepdim=True)
    some = torch.nonzero(inside & ((towards * surface.normals).sum(dim=1) > GRAZING))[:, 0]
    rays = Rays(vertices[some] + OFF * surface.normals[some], towards[some].contiguous())
    free = ~surface.meet(rays).hit
    return some[free], -towards[some][free]


def places_in(points: Tensor, P: Tensor) -> tuple[Tensor, Tensor]:
    """Column and row (N, 2) at which a camera (3, 4) shows points (N, 3), and their depth (N,) along its axis."""
    projected = points @ P[:, :3].T + P[:, 3]
    return projected[:, :2] / projected[:, 2:], projected[:, 2]
