"""The texels of an atlas as points of the mesh, and pictures of what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import normalize

from ..meshes.texture import Atlas
from ..ops.chart_raster import rasterise_charts
from ..tracing.triangles import Surface

CHUNK = 1 << 18  # texels


@dataclass(frozen=True)
class Texels:
    """N texels. points (N, 3) on the flat faces and normals (N, 3), unit, between those of the vertices; places (N, 2);
    face (N,) int64; shares (N, 3) of the face's corners: barycentric coordinates, none negative."""

    points: Tensor
    normals: Tensor
    places: Tensor
    face: Tensor
    shares: Tensor


class TexelGrid:
    """Which texels of an atlas show a mesh, in the precision and on the device of the runtime."""

    def __init__(self, surface: Surface, atlas: Atlas) -> None:
        self.faces, self.normals = surface.faces, surface.normals
        self.vertices = torch.from_numpy(surface.mesh.vertices).to(surface.normals)
        self.corners = torch.from_numpy(atlas.places[atlas.corners]).to(surface.normals)  # (F, 3, 2)
        self.shape = (atlas.height, atlas.width)
        self.face = rasterise_charts(self.corners, *self.shape).view(-1)
        self.index = torch.nonzero(self.face >= 0)[:, 0]

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Texels]:
        """All texels, in the order of `index`, CHUNK at a time."""
        for index in self.index.split(CHUNK):
            yield self._texels(index)

    def _texels(self, index: Tensor) -> Texels:
        face = self.face[index].long()
        places = torch.stack([index % self.shape[1], index // self.shape[1]], dim=1).to(self.corners)
        shares = _shares(places, self.corners[face])
        rows = self.faces[face]
        points = (shares[..., None] * self.vertices[rows]).sum(dim=1)
        normals = normalize((shares[..., None] * self.normals[rows]).sum(dim=1), dim=1)
        return Texels(points, normals, places, face, shares)

    def picture(self, values: np.ndarray) -> np.ndarray:
        """(H, W, C) of values (N, C) of the texels; others have those of the nearest."""
        picture = np.zeros((self.shape[0] * self.shape[1], values.shape[1]), values.dtype)
        picture[self.index.cpu().numpy()] = values
        empty = (self.face < 0).view(self.shape).cpu().numpy()
        found: Any = distance_transform_edt(empty, return_distances=False, return_indices=True)
        return picture.reshape(*self.shape, -1)[tuple(found)]


def _shares(places: Tensor, corners: Tensor) -> Tensor:
    """Barycentric coordinates (N, 3) of places (N, 2) in triangles (N, 3, 2)."""
    a, b, c = corners.unbind(1)
    parts = torch.stack([_area(places, b, c), _area(a, places, c), _area(a, b, places)], dim=1)
    parts = (parts / parts.sum(dim=1, keepdim=True)).clamp_min(0)
    return parts / parts.sum(dim=1, keepdim=True)


def _area(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    first, second = b - a, c - a
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
