"""A material learned from one object, on another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ball_run import BallModel, around
from scipy.spatial.transform import Rotation

from taichi_idr.cameras.pinhole import transform_cameras
from taichi_idr.errors import BadInput
from taichi_idr.materials.dressed import Dressed
from taichi_idr.materials.learning import Apprentice
from taichi_idr.materials.material import room_width
from taichi_idr.materials.settings import MaterialConfig
from taichi_idr.materials.standing import Standing, standing
from taichi_idr.pictures.rendering import RenderedView, render_view
from taichi_idr.types import Cameras

CONFIG = MaterialConfig(size=40, steps=250, pixels=1024)
CAMERAS = around(8, elevation=0.4)
SIZE = (48, 64)


def ball(radius: float = 0.5) -> Any:
    return BallModel(radius)


def learned(cameras: Cameras) -> tuple[Apprentice, Standing]:
    """From a ball of radius 0.5, whose colours are those of its normals."""
    stands = standing(cameras)
    apprentice = Apprentice(ball(), cameras, stands, CONFIG, room_width(CONFIG, ball()))
    losses = list(apprentice.steps())
    assert losses[-1] < losses[0] / 5
    return apprentice, stands


@pytest.fixture(scope="module")
def material() -> Apprentice:
    return learned(CAMERAS)[0]


def worn(apprentice: Apprentice, radius: float, cameras: Cameras, reach: float = np.pi) -> Dressed:
    return Dressed(ball(radius), standing(cameras), apprentice.material, reach)


def off(one: RenderedView, other: RenderedView) -> float:
    """Mean difference of colours where both are hit."""
    both = one.hit & other.hit
    assert both.mean() > 0.05
    return float(np.abs(one.colour - other.colour)[both].mean())


def test_colours_of_normals_come_along_to_another_shape(material):
    """The shape is its own; colours are what the other object's normals would have."""
    shown = render_view(worn(material, 0.3, CAMERAS), CAMERAS[[2]], *SIZE)
    true = render_view(ball(0.3), CAMERAS[[2]], *SIZE)
    np.testing.assert_array_equal(shown.depth, true.depth)
    np.testing.assert_array_equal(shown.normals, true.normals)
    assert (shown.colour[~shown.hit] == 1).all()
    assert off(shown, true) < 0.02  # measured 0.007; the colours' deviation is 0.2
    assert material.psnr() > 32  # measured 40


def test_light_stands_to_the_front_as_it_did(material):
    """Where a shape's world is turned, front and up are turned, and its pictures are the same."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [1.0, -0.4, 2.0]).as_matrix()
    moved = transform_cameras(T, CAMERAS)
    shown = render_view(worn(material, 0.3, moved), moved[[3]], *SIZE)
    assert off(shown, render_view(worn(material, 0.3, CAMERAS), CAMERAS[[3]], *SIZE)) < 1e-4


def test_behind_what_was_photographed_light_comes_along():
    front = around(24, elevation=0.4)[torch.arange(7)]
    apprentice, stands = learned(front)
    all_round = around(24, elevation=0.4)
    dressed = Dressed(ball(), stands, apprentice.material, stands.reach)
    pictures = [render_view(dressed, all_round[[view]], *SIZE) for view in (3, 15)]  # the middle, and opposite to it
    assert off(*pictures) < 1e-3
    left_alone = Dressed(ball(), stands, apprentice.material, np.pi)
    assert off(pictures[1], render_view(left_alone, all_round[[15]], *SIZE)) > 0.1


def test_a_model_without_a_surface_teaches_nothing():
    with pytest.raises(BadInput, match="nothing to learn colours from"):
        Apprentice(ball(-1.0), CAMERAS, standing(CAMERAS), CONFIG, 0)
