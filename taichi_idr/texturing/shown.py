"""A mesh of a file, textured or coloured at its vertices, as pictures ask for what they show."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from ..meshes.shown import ShownMesh
from ..tracing.mesh_looks import MeshLooks
from ..tracing.triangles import Surface

LEVELS = 8  # of a pyramid, each of half the size of the one before


class TexturedSurface(MeshLooks):
    """A mesh in the normalised frame. A pixel shows the mean of about as much texture as it covers, as graphics cards
    take it: between two levels of a pyramid. pixel_angle: radians from a pixel to the next."""

    def __init__(self, shown: ShownMesh, pixel_angle: float) -> None:
        super().__init__(Surface(shown.mesh))
        self.pixel_angle = pixel_angle
        target = {"device": self.device, "dtype": self.dtype}
        assert shown.mesh.colours is not None
        self.colours = torch.from_numpy(shown.mesh.colours).to(**target) / 255  # (V, 3)
        self.places = torch.from_numpy(shown.places).to(**target)
        self.picture = torch.from_numpy(shown.picture).to(self.device)
        self.pyramids = [_pyramid(torch.from_numpy(picture.copy()).to(**target) / 255) for picture in shown.pictures]

    def shaded(self, points: Tensor, face: Tensor, normals: Tensor, directions: Tensor, depth: Tensor) -> Tensor:
        return self._colours(points, face, depth * self.pixel_angle)

    def _colours(self, points: Tensor, face: Tensor, footprint: Tensor) -> Tensor:
        """(N, 3) at points (N, 3) in faces (N,), of which a pixel shows a footprint (N,) across."""
        colours = self.surface.between(self.colours, points, face)
        place = (self.surface.shares(points, face)[..., None] * self.places[face]).sum(dim=1)
        for number, pyramid in enumerate(self.pyramids):
            mine = self.picture[face] == number
            texel = self._texel_length(face[mine], pyramid[0].shape)
            level = (footprint[mine] / texel).clamp_min(1e-9).log2().clamp(0, len(pyramid) - 1)
            colours[mine] = _between_levels(pyramid, place[mine], level)
        return colours

    def _texel_length(self, face: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Of a texel on the faces (N,), the unit of the mesh."""
        a, b, c = self.surface.corners[face].unbind(1)
        size = self.places.new_tensor([shape[3], shape[2]])
        p, q, r = (self.places[face] * size).unbind(1)
        first, second = q - p, r - p
        texels = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).abs().clamp_min(1e-9)
        return (torch.linalg.cross(b - a, c - a).norm(dim=1) / texels).sqrt().clamp_min(1e-12)


def _pyramid(picture: Tensor) -> list[Tensor]:
    """(1, 3, H, W) and halves of it, of (H, W, 3)."""
    levels = [picture.permute(2, 0, 1)[None]]
    while len(levels) < LEVELS and min(levels[-1].shape[2:]) >= 2:
        levels.append(avg_pool2d(levels[-1], 2))
    return levels


def _between_levels(pyramid: list[Tensor], place: Tensor, level: Tensor) -> Tensor:
    """(N, 3) at places (N, 2) of [0, 1], at levels (N,) of it."""
    colours = torch.zeros(len(place), 3, dtype=place.dtype, device=place.device)
    for number, picture in enumerate(pyramid):
        weight = (1 - (level - number).abs()).clamp_min(0)
        some = weight > 0
        if bool(some.any()):
            grid = (2 * place[some] - 1)[None, None]
            options = {"mode": "bilinear", "padding_mode": "border", "align_corners": False}
            found = grid_sample(picture, grid, **options)[0, :, 0].T
            colours[some] += weight[some, None] * found
    return colours
