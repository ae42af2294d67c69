"""What a material is told of a surface means the same on every object."""

from __future__ import annotations

from typing import Any

import torch
from ball_run import BallModel, around
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn.functional import normalize

from taichi_idr.materials.material import Material, room, room_width, situation_of
from taichi_idr.materials.settings import MaterialConfig
from taichi_idr.materials.standing import standing

CONFIG = MaterialConfig()
AHEAD, BELOW = slice(0, 5), slice(5, 8)
UP = torch.tensor([0.0, 0.0, 1.0])


class Corner(BallModel):
    """Solid where x < 0 or z < 0, turned by a rotation."""

    def __init__(self, turn: Tensor | None = None) -> None:
        super().__init__()
        self.turn = torch.eye(3) if turn is None else turn

    def surface(self, points: Tensor) -> Tensor:
        own = points @ self.turn
        x, z = own[:, 0], own[:, 2]
        return torch.where((x > 0) & (z > 0), torch.minimum(x, z), -torch.stack([-x, -z]).clamp_min(0).norm(dim=0))


class Density(BallModel):
    is_distance = False


def model(kind: Any, *arguments: Any) -> Any:
    return kind(*arguments)


def test_there_is_all_room_over_a_ball_and_less_in_a_corner():
    generator = torch.Generator().manual_seed(0)
    points = 0.5 * normalize(torch.randn(40, 3, generator=generator), dim=1)
    normals = normalize(points, dim=1)
    free = room(model(BallModel), points, -normals, normals, UP, CONFIG)
    assert free.shape == (40, room_width(CONFIG, model(BallModel)))
    torch.testing.assert_close(free[:, AHEAD], torch.ones(40, 5), rtol=0, atol=1e-4)
    torch.testing.assert_close(free[:, BELOW], -torch.ones(40, 3), rtol=0, atol=1e-4)
    floor = torch.tensor([[0.1, 0.0, 0.0], [5.0, 0.0, 0.0]])
    narrow, wide = room(model(Corner), floor, -UP.expand(2, 3), UP.expand(2, 3), UP, CONFIG)
    torch.testing.assert_close(narrow[AHEAD], (0.1 / torch.tensor(CONFIG.ahead)).clamp(max=1))
    torch.testing.assert_close(wide[AHEAD], torch.ones(5))


def test_it_turns_with_the_object(generator):
    """Object, cameras and points turned together are told the same."""
    turn = torch.from_numpy(Rotation.from_euler("xyz", [0.3, 0.8, -2.0]).as_matrix()).float()
    cameras = around(12, elevation=0.3)
    stands = standing(cameras)
    moved = type(stands)(stands.axes @ turn.double().numpy().T, stands.reach)
    points = torch.rand(30, 3, generator=generator) * 0.2 * torch.tensor([1.0, 1.0, 0.0])
    normals = UP.expand(30, 3)
    directions = -normalize(torch.rand(30, 3, generator=generator) + 0.1, dim=1)
    width = room_width(CONFIG, model(Corner))
    own = situation_of(model(Corner), points, directions, normals, stands, CONFIG, width)
    turned = [vectors @ turn.T for vectors in (points, directions, normals)]
    other = situation_of(model(Corner, turn), *turned, moved, CONFIG, width)
    for mine, theirs in zip(vars(own).values(), vars(other).values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-4)
    assert own.room.std(dim=0).max() > 0.1


def test_fields_that_are_no_distance_tell_nothing_of_the_room():
    assert room_width(CONFIG, model(BallModel), model(Density)) == 0
    points = torch.rand(4, 3)
    situation = situation_of(model(Density), points, -points, points, standing(around(4, elevation=0.3)), CONFIG, 0)
    assert situation.room.shape == (4, 0)
    colours = Material(CONFIG, 0, torch.float32, torch.device("cpu"))(situation)
    assert colours.shape == (4, 3)
    assert 0 < float(colours.min().detach()) < float(colours.max().detach()) < 1
