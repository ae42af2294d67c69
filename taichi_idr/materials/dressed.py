"""A shape that wears the material of another object."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..fields.model import Look, Model
from ..types import Rays
from .material import Material, Situation, situation_of
from .standing import Standing, folded, turned


class Dressed:
    """What pictures ask for: the shape's surface, in colours that do not know where on it they are."""

    def __init__(self, shape: Model, stands: Standing, material: Material, reach: float) -> None:
        """stands: how the shape does before its cameras; reach: from how far around its front the material's object was
        photographed."""
        self.shape, self.stands, self.material, self.reach = shape, stands, material, reach
        self.chunk = shape.chunk

    @property
    def device(self) -> torch.device:
        return self.shape.device

    @property
    def dtype(self) -> torch.dtype:
        return self.shape.dtype

    @torch.no_grad()
    def look(self, rays: Rays, *, preview: bool = False) -> Look:
        """What rays (R,) see: the shape, lit as the material's object was before a camera on the same side of it.

        Where none was there, the light comes along with the camera. Rays of one picture begin in one place, so all of
        it has one light.
        """
        own = self.shape.look(rays, preview=preview)
        there = rays[own.hit]
        where = (there.at(own.depth[own.hit]), there.directions, own.normal[own.hit])
        situation = situation_of(self.shape, *where, self.stands, self.material.config, self.material.room)
        azimuth = self.stands.azimuth(there.origins)
        turn = folded(azimuth, self.reach) - azimuth
        normals, directions = (turned(part, turn) for part in (situation.normals, situation.directions))
        colour = torch.ones_like(own.colour)
        colour[own.hit] = self.material(Situation(normals, directions, situation.room))
        return replace(own, colour=colour)
