"""What the surface encloses, and the term that keeps it solid."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from taichi_idr.methods.fast.inside import DEPTH, enclosed, hollow_loss

RESOLUTION, RADIUS = 32, 0.6
CELL = 2 / (RESOLUTION - 1)
SLANT = 3**0.5  # how much further than its sides a cube of cells reaches


@pytest.fixture
def radius() -> Tensor:
    """Distance from the origin at the lattice's points."""
    axis = torch.linspace(-1, 1, RESOLUTION)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).norm(dim=0)


def test_what_is_deep_in_a_ball_is_enclosed(radius):
    deep = enclosed(radius - RADIUS)
    assert deep[radius < RADIUS - SLANT * (DEPTH + 1) * CELL].all()
    assert not deep[radius > RADIUS - DEPTH * CELL].any()


def test_a_hollow_is_enclosed(radius):
    ball = radius - RADIUS
    assert torch.equal(enclosed(torch.maximum(ball, 0.3 - radius)), enclosed(ball))


def test_a_hollow_with_a_way_out_is_air(radius):
    """A channel from the middle to the border of the lattice."""
    hollow = torch.maximum(radius - RADIUS, 0.15 - radius)
    middle = RESOLUTION // 2
    hollow[middle, middle, middle:] = 1.0
    found = enclosed(hollow)
    assert not found[radius < 0.15].any()
    assert found.any()


def test_nothing_and_everything():
    one = torch.ones(8, 8, 8)
    assert not enclosed(one).any()
    assert enclosed(-one).all()


def test_what_is_positive_deep_inside_costs(radius):
    """Two of four points lie in the ball; one of them is in a hollow, the other as deep as it should be."""
    deep = enclosed(radius - RADIUS)
    points = torch.tensor([[0.1, 0, 0], [0, -0.1, 0.1], [0.9, 0, 0], [0, 0, RADIUS]])
    sdf = torch.tensor([0.2, -0.5, 0.3, 0.0], requires_grad=True)
    loss = hollow_loss(sdf, points, deep)
    assert float(loss.detach()) == pytest.approx((0.2 + CELL) / 4)
    loss.backward()
    assert sdf.grad is not None and sdf.grad.tolist() == [0.25, 0, 0, 0]
    assert hollow_loss(sdf[:0], points[:0], deep) == 0
