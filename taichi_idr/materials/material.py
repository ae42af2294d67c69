"""The network of a material, and what it is told of a surface point."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..fields.encodings import positional_encoding
from ..fields.layers import default_initial, plain_linear
from ..fields.model import Model
from ..fields.radiance import reflected
from .settings import MaterialConfig
from .standing import Standing

SIDES = 5  # directions between normal and horizon in which f is asked


@dataclass(frozen=True)
class Situation:
    """Of N surface points, in words that mean the same on every object. normals (N, 3) unit and directions (N, 3) unit,
    away from the camera: components front, left, up. room (N, K): see `room`."""

    normals: Tensor
    directions: Tensor
    room: Tensor

    def __getitem__(self, index: Tensor) -> Situation:
        return Situation(self.normals[index], self.directions[index], self.room[index])


class Material(nn.Module):
    """M(n, v, mirrored v, room): the renderer of section 3.2 of the paper without x and z, which name places of one
    object; distances to the surface nearby stand for z."""

    def __init__(self, config: MaterialConfig, room: int, dtype: torch.dtype, device: torch.device) -> None:
        """room: columns of `Situation.room`."""
        super().__init__()
        self.config, self.room = config, room
        generator = torch.Generator().manual_seed(config.seed)
        encoded = 3 * 3 * (1 + 2 * config.frequencies)
        widths = pairwise([encoded + room, *[config.width] * config.hidden_layers, 3])
        initial = [default_initial(inputs, outputs, generator) for inputs, outputs in widths]
        self.layers = nn.ModuleList(plain_linear(weight.to(dtype), bias.to(dtype)) for weight, bias in initial)
        self.to(device)

    def forward(self, situation: Situation) -> Tensor:
        """Colours (N, 3) in [0, 1]."""
        mirrored = reflected(situation.directions, situation.normals)
        vectors = (situation.normals, -situation.directions, mirrored)
        encoded = [positional_encoding(vector, self.config.frequencies) for vector in vectors]
        hidden = torch.cat([*encoded, situation.room], dim=1)
        for layer in self.layers[:-1]:
            hidden = torch.relu(layer(hidden))
        return torch.sigmoid(self.layers[-1](hidden))


def room_width(config: MaterialConfig, *models: Model) -> int:
    """Columns of `room`; none where a model's field is no distance."""
    count = len(config.ahead) + len(config.below) + SIDES * len(config.aslant)
    return count if all(model.is_distance for model in models) else 0


@torch.no_grad()
def room(
    model: Model, points: Tensor, directions: Tensor, normals: Tensor, up: Tensor, config: MaterialConfig
) -> Tensor:
    """f at distances from surface points (N, 3), over the distance, in [-1, 1], (N, `room_width`): 1 over a plane or a
    bulge, less in a hollow and where something stands in the way.

    Asked along the unit normals (N, 3), against them, and between them and five directions: up, down, left and right as
    seen along `directions` (N, 3), and towards the viewer.
    """
    sideways = torch.linalg.cross(up.expand_as(directions), directions)
    horizon = (up.expand_as(normals), -up.expand_as(normals), sideways, -sideways, -directions)
    asked = [(normals, config.ahead), (-normals, config.below)]
    asked += [(normalize(normals + side, dim=1), config.aslant) for side in horizon]
    columns = [model.surface(points + far * way) / far for way, distances in asked for far in distances]
    return torch.stack(columns, dim=1).clamp(-1, 1)


def situation_of(
    model: Model,
    points: Tensor,
    directions: Tensor,
    normals: Tensor,
    stands: Standing,
    config: MaterialConfig,
    width: int,
) -> Situation:
    """Of surface points (N, 3) of a model that stands so, seen along unit directions (N, 3), with unit normals (N, 3).

    width: columns of `room` wanted, all or none.
    """
    up = torch.from_numpy(stands.up).to(points)
    around = room(model, points, directions, normals, up, config) if width else points.new_empty(len(points), 0)
    return Situation(stands.local(normals), stands.local(directions), around)
