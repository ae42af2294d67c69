"""A material is learned from pictures of a fitted object: no photo is needed, and every method has pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..fields.model import Model
from ..pictures.colours import picture_shape, resizer
from ..pictures.rendering import camera_rays, render_view
from ..types import Cameras
from .material import Material, Situation, situation_of
from .settings import MaterialConfig
from .standing import Standing


class Apprentice:
    """Learns the material of a model from pictures that its cameras would take.

    cameras: float64, normalised frame, centred on their photos. room: columns of `Situation.room`. Raises BadInput
    where the pictures are empty.
    """

    def __init__(self, model: Model, cameras: Cameras, stands: Standing, config: MaterialConfig, room: int) -> None:
        self.config = config
        self.generator = torch.Generator().manual_seed(config.seed)
        self.situations, self.colours = seen(model, cameras, stands, config, room)
        if not len(self.colours):
            raise BadInput(
                "nothing to learn colours from", why="its own cameras do not see its surface", todo="fit again"
            )
        self.material = Material(config, room, self.colours.dtype, self.colours.device)
        self.adam = torch.optim.Adam(self.material.parameters(), lr=config.rate)

    def steps(self) -> Iterator[float]:
        """Take all steps; yields the mean absolute error of each, colours in [0, 1]."""
        for number in range(self.config.steps):
            fall = 0.5 * (1 + math.cos(math.pi * number / self.config.steps))
            for group in self.adam.param_groups:
                group["lr"] = self.config.rate * (self.config.floor + (1 - self.config.floor) * fall)
            index = torch.randint(len(self.colours), (self.config.pixels,), generator=self.generator)
            index = index.to(self.colours.device)
            loss = (self.material(self.situations[index]) - self.colours[index]).abs().mean()
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
            yield float(loss.detach())

    @torch.no_grad()
    def psnr(self) -> float:
        """dB, of the material against the model's own colours: what is lost with the places."""
        parts = torch.arange(len(self.colours), device=self.colours.device).split(1 << 16)
        errors = [((self.material(self.situations[part]) - self.colours[part]) ** 2).sum() for part in parts]
        return float(-10 * torch.log10(torch.stack(errors).sum() / self.colours.numel()))


def seen(
    model: Model, cameras: Cameras, stands: Standing, config: MaterialConfig, room: int
) -> tuple[Situation, Tensor]:
    """How the surface lies at every pixel of the pictures that shows it, and its colours (N, 3)."""
    situations, colours = [], []
    for view in range(len(cameras)):
        camera = cameras[[view]]
        camera, (height, width) = resizer(config.size, 1)(camera, picture_shape(camera, None, 1))
        picture = render_view(model, camera, height, width)
        row, column = np.nonzero(picture.hit)
        rays = camera_rays(model, camera, torch.from_numpy(np.stack([column, row], axis=1)))
        depth, normals, colour = (
            torch.from_numpy(part[row, column]).to(rays.origins)
            for part in (picture.depth, picture.normals, picture.colour)
        )
        situations.append(situation_of(model, rays.at(depth), rays.directions, normals, stands, config, room))
        colours.append(colour)
    columns = zip(*(vars(one).values() for one in situations), strict=True)
    return Situation(*map(torch.cat, columns)), torch.cat(colours)
