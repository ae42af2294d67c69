"""Points of the surface with normals, as depth maps have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..state import alike
from .maps import DepthMaps

FIRST_CELL, WIDER = 1e-3, 1.25  # normalised units: cells in which points are made one


@dataclass(frozen=True)
class SurfacePoints:
    """points (N, 3) of the normalised frame, unit normals (N, 3) outwards, confidence (N,) in (0, 1]."""

    points: Tensor
    normals: Tensor
    confidence: Tensor

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> SurfacePoints:
        """The reverse of `tensors`. Raises KeyError, ValueError where they are something else."""
        points = tensors["points"]
        if not len(points):
            raise ValueError("no surface points")
        shapes = {"points": (len(points), 3), "normals": (len(points), 3), "confidence": (len(points),)}
        return cls(*(alike(tensors[name], torch.zeros(shape)) for name, shape in shapes.items()))

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: Tensor | slice) -> SurfacePoints:
        return SurfacePoints(*(part[index] for part in self.tensors().values()))

    def drawn(self, count: int, generator: torch.Generator) -> SurfacePoints:
        """`count` of them at random, some more than once."""
        return self[torch.randint(len(self), (count,), generator=generator).to(self.points.device)]

    def tensors(self) -> dict[str, Tensor]:
        """By the names of its fields."""
        return {"points": self.points, "normals": self.normals, "confidence": self.confidence}

    def to(self, device: torch.device) -> SurfacePoints:
        return SurfacePoints(*(part.to(device) for part in self.tensors().values()))


def surface_points(maps: DepthMaps, most: int) -> SurfacePoints:
    """Every depth as a point; where there are more than `most`, those of a cell are averaged."""
    photos = maps.photos
    planes, likeness = maps.planes[photos.index], maps.likeness[photos.index]
    inverse = maps.inverse
    known = inverse > 0
    points = (photos.origins + photos.directions / torch.where(known, inverse, 1)[:, None])[known]
    normals = -normalize(planes[known], dim=1)
    facing = -(normals * normalize(photos.directions[known], dim=1)).sum(dim=1)
    found = SurfacePoints(points, normals, likeness[known] * facing)
    cell = FIRST_CELL
    while len(found) > most:
        found, cell = _merged(found, cell), cell * WIDER
    return found


def _merged(found: SurfacePoints, cell: float) -> SurfacePoints:
    """One point for each cell: means weighted by confidence."""
    place = torch.floor(found.points / cell).long()
    place -= place.amin(dim=0)
    extent = place.amax(dim=0) + 1
    key = (place[:, 0] * extent[1] + place[:, 1]) * extent[2] + place[:, 2]
    kinds, group = torch.unique(key, return_inverse=True)
    weight = found.confidence[:, None]
    columns = torch.cat([found.points * weight, found.normals * weight, weight, weight * weight], dim=1).double()
    sums = torch.stack([torch.bincount(group, column, len(kinds)) for column in columns.unbind(1)], dim=1)
    total = sums[:, 6:7]
    parts = (sums[:, :3] / total, normalize(sums[:, 3:6], dim=1), (sums[:, 7:] / total)[:, 0])
    return SurfacePoints(*(part.to(found.points) for part in parts))
