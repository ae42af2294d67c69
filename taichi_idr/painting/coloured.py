"""A mesh with colours at its vertices, as pictures ask for it."""

from __future__ import annotations

import torch
from torch import Tensor

from ..fields.model import Look
from ..fields.sample import CHUNK
from ..tracing.triangles import Surface
from ..types import Rays

DARKEST = 0.35  # of a surface seen edge-on, as a share of one that faces the camera


class ColouredMesh:
    """A surface and colours (V, 3) in [0, 1] of its vertices, lit from where it is looked at."""

    chunk = CHUNK

    def __init__(self, surface: Surface, colours: Tensor) -> None:
        self.surface, self.colours = surface, colours.to(surface.normals)

    @property
    def dtype(self) -> torch.dtype:
        return self.surface.normals.dtype

    @property
    def device(self) -> torch.device:
        return self.surface.normals.device

    @torch.no_grad()
    def look(self, rays: Rays, *, preview: bool = False) -> Look:
        """What rays (R,) see; previews are no rougher."""
        met = self.surface.meet(rays)
        hit, colour = met.hit, torch.ones_like(rays.origins)
        normal = torch.zeros_like(colour)
        there, face, along = rays[hit].at(met.depth[hit]), met.face[hit], rays.directions[hit]
        normal[hit] = self.surface.smooth_normals(there, face, along)
        light = DARKEST - (1 - DARKEST) * (normal[hit] * along).sum(dim=1, keepdim=True)
        colour[hit] = self.surface.between(self.colours, there, face) * light
        return Look(colour, normal, met.depth, hit)
