"""Meshes as pictures ask for them: rays are cast, and what they meet is shaded."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..fields.model import Look
from ..fields.sample import CHUNK
from ..types import Rays
from .triangles import Surface


class MeshLooks(ABC):
    """A mesh in the normalised frame; what colours it has, those who know say."""

    chunk = CHUNK

    def __init__(self, surface: Surface) -> None:
        self.surface = surface

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
        seen, depth, face = rays[hit], met.depth[hit], met.face[hit]
        there = seen.at(depth)
        normal[hit] = self.surface.smooth_normals(there, face, seen.directions)
        colour[hit] = self.shaded(there, face, normal[hit], seen.directions, depth)
        return Look(colour, normal, met.depth, hit)

    @abstractmethod
    def shaded(self, points: Tensor, face: Tensor, normals: Tensor, directions: Tensor, depth: Tensor) -> Tensor:
        """Colours (N, 3) in [0, 1] of points (N, 3) in faces (N,), with unit normals (N, 3), seen along unit directions
        (N, 3) from so far (N,)."""
