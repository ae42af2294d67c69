"""FLOW-3: points move with a velocity field, by fixed steps and by adaptive ones with the adjoint method."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from taichi_idr.errors import Diverged
from taichi_idr.methods.flow.adaptive import dormand_prince
from taichi_idr.methods.flow.integration import Velocity, runge_kutta_4

TURN = 2.0  # radians from time 0 to 1
COUNT = 50


def spinning(points: Tensor, times: Tensor) -> Tensor:
    """Faster and faster about z: the angle at time t is TURN t^2."""
    x, y, z = points.unbind(1)
    return 2 * TURN * times[:, None] * torch.stack([-y, x, 0 * z], dim=1)


def turned(points: Tensor, angle: Tensor) -> Tensor:
    x, y, z = points.unbind(1)
    return torch.stack([angle.cos() * x - angle.sin() * y, angle.sin() * x + angle.cos() * y, z], dim=1)


def drawn(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Points and spans of time, half of them backwards."""
    points = torch.randn(COUNT, 3, generator=generator, dtype=torch.float64)
    begin, end = torch.rand(2, COUNT, generator=generator, dtype=torch.float64)
    return points, begin, end


def adaptive(velocity: Velocity, points: Tensor, begin: Tensor, end: Tensor, rtol: float) -> Tensor:
    return dormand_prince(velocity, [], points, begin, end, rtol=rtol, atol=rtol / 100)


def test_flow_3_fixed_steps_are_of_fourth_order(generator):
    """FLOW-3: half the step, a sixteenth of the error; each point over its own span of time."""
    points, begin, end = drawn(generator)
    truth = turned(points, TURN * (end**2 - begin**2))
    errors = [(runge_kutta_4(spinning, points, begin, end, n) - truth).norm(dim=1).max() for n in (4, 8)]
    assert errors[0] < 1e-2
    assert 12 < errors[0] / errors[1] < 40


@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-9])
def test_flow_3_adaptive_steps_are_as_exact_as_asked(rtol, generator):
    """FLOW-3: dopri5, within some tolerances after some steps."""
    points, begin, end = drawn(generator)
    truth = turned(points, TURN * (end**2 - begin**2))
    assert (adaptive(spinning, points, begin, end, rtol) - truth).norm(dim=1).max() < 20 * rtol


def test_flow_3_adaptive_steps_are_few_where_nothing_happens(generator):
    """FLOW-3: an even motion needs two steps, a quick one many."""
    asked = []

    def even(points: Tensor, times: Tensor) -> Tensor:
        asked.append(len(points))
        return torch.ones_like(points)

    points, begin, end = drawn(generator)
    moved = adaptive(even, points, begin, end, 1e-3)
    torch.testing.assert_close(moved, points + (end - begin)[:, None])
    assert len(asked) <= 13
    few = len(asked)
    asked.clear()
    adaptive(lambda p, t: even(p, t) * torch.sin(60 * t)[:, None], points, begin, end, 1e-3)
    assert len(asked) > 3 * few


def test_flow_3_what_is_moved_there_and_back_is_where_it_was(generator):
    """FLOW-3, of both methods."""
    points, begin, end = drawn(generator)
    there = runge_kutta_4(spinning, points, begin, end, 64)
    torch.testing.assert_close(runge_kutta_4(spinning, there, end, begin, 64), points, atol=1e-5, rtol=0)
    there = adaptive(spinning, points, begin, end, 1e-8)
    torch.testing.assert_close(adaptive(spinning, there, end, begin, 1e-8), points, atol=1e-6, rtol=0)


def test_flow_3_the_adjoint_is_the_derivative_of_fine_steps(generator):
    """FLOW-3: gradients by the adjoint method against autograd through 32 steps, of points and of all parameters; the
    cotangent stays as it was."""
    weights = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((4, 8), (8,), (8, 3))]
    parameters = [weight.requires_grad_() for weight in weights]

    def velocity(points: Tensor, times: Tensor) -> Tensor:
        into, bias, out = parameters
        return torch.tanh(torch.cat([points, times[:, None]], dim=1) @ into + bias) @ out / 4

    points, begin, end = drawn(generator)
    leaf = points.clone().requires_grad_()
    cotangent = torch.randn(COUNT, 3, generator=generator, dtype=torch.float64)
    kept = cotangent.clone()

    def gradients(moved: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(moved, [leaf, *parameters], cotangent)

    found = gradients(dormand_prince(velocity, parameters, leaf, begin, end, rtol=1e-7, atol=1e-9))
    assert torch.equal(cotangent, kept) and leaf.grad is None
    expected = gradients(runge_kutta_4(velocity, leaf, begin, end, 32))
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() < 1e-4 * other.norm()


def test_flow_3_the_adjoint_is_dual_to_the_motion_of_neighbours(generator):
    """FLOW-3: <g, J d> = <J' g, d>, J d by finite differences of a smooth field."""
    points, begin, end = drawn(generator)
    leaf = points.clone().requires_grad_()
    along, cotangent = torch.randn(2, COUNT, 3, generator=generator, dtype=torch.float64)

    def curved(places: Tensor, times: Tensor) -> Tensor:
        return torch.sin(2 * places.roll(1, dims=1) + times[:, None])

    (gradient,) = torch.autograd.grad(adaptive(curved, leaf, begin, end, 1e-9), [leaf], cotangent)
    ahead, behind = (adaptive(curved, points + sign * 1e-4 * along, begin, end, 1e-11) for sign in (1, -1))
    expected = (cotangent * (ahead - behind) / 2e-4).sum()
    assert abs((gradient * along).sum() - expected) < 1e-5 * cotangent.norm() * along.norm()


def test_flow_3_a_motion_that_cannot_be_followed_is_said():
    """FLOW-3: no endless loop."""
    points, ends = torch.ones(3, 3), torch.ones(3)
    with pytest.raises(Diverged, match="cannot be followed"):
        adaptive(lambda p, t: p**2 * 50, points, torch.zeros(3), ends, 1e-6)
