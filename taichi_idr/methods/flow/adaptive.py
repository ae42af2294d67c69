"""Points move with a velocity field in steps that adapt to it, as published (FLOW-3).

The pair of fifth and fourth order of Dormand and Prince ("A family of embedded Runge-Kutta formulae", 1980) and the
adjoint method (Chen et al., "Neural ordinary differential equations", NeurIPS 2018): with x the points, a = dL/dx and
theta the parameters of v, backwards in time

    dx/dt = v,    da/dt = -a . dv/dx,    dL/dtheta = integral of a . dv/dtheta dt,

so that no step of the way there is kept, however many there were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...errors import Diverged
from .integration import Velocity

NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
"""Weights of the slopes before each of them; the last are those of the result, fifth order."""
FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
DIFFERENCE = tuple(b - c for b, c in zip((*STAGES[-1], 0.0), FOURTH, strict=True))
"""Of both orders: what says how exact a step is."""
FIRST_STEP, LEAST_STEP = 0.1, 1e-6  # shares of the whole way
SAFETY, SHORTER, LONGER = 0.9, 0.2, 10.0  # of the next step

Rate = Callable[[float, Tensor], tuple[Tensor, Sequence[Tensor]]]
"""Place in [0, 1], state -> its slope, and integrands of the place."""


def dormand_prince(
    velocity: Velocity,
    parameters: Sequence[Tensor],
    points: Tensor,
    begin: Tensor,
    end: Tensor,
    *,
    rtol: float,
    atol: float,
) -> Tensor:
    """Where points (N, 3) are at times `end` (N,) that are at `points` at times `begin` (N,), earlier or later.

    All take the same steps, each in its own span of time; the mean error of a step, over all points, is below atol +
    rtol |x|. Differentiable in points and in `parameters`, which are all that `velocity` is made of. Raises Diverged
    where no step is short enough.
    """
    result = _DormandPrince.apply((velocity, rtol, atol), points, begin, end, *parameters)
    assert isinstance(result, Tensor)
    return result


class _DormandPrince(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        how: tuple[Velocity, float, float],
        points: Tensor,
        begin: Tensor,
        end: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        velocity, rtol, atol = how
        span = end - begin

        def rate(place: float, state: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
            return span[:, None] * velocity(state, begin + place * span), ()

        arrived, _ = integrated(rate, points.detach(), rtol=rtol, atol=atol)
        context.how = how
        context.save_for_backward(arrived, begin, span, *parameters)
        return arrived

    @staticmethod
    @once_differentiable
    def backward(context: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        velocity, rtol, atol = context.how
        arrived, begin, span, *parameters = context.saved_tensors

        def rate(place: float, state: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
            points, adjoint = state.split(3, dim=1)
            with torch.enable_grad():
                points = points.detach().requires_grad_()
                slope = span[:, None] * velocity(points, begin + (1 - place) * span)
            to_points, *others = torch.autograd.grad(slope, [points, *parameters], adjoint)
            return torch.cat([-slope.detach(), to_points], dim=1), others

        state, gradients = integrated(rate, torch.cat([arrived, cotangents[0]], dim=1), rtol=rtol, atol=atol)
        return None, state[:, 3:], None, None, *gradients


@torch.no_grad()
def integrated(rate: Rate, state: Tensor, *, rtol: float, atol: float) -> tuple[Tensor, list[Tensor]]:
    """The state at place 1 that is `state` at 0, and the integrals. Only the state says how long steps are: what is
    integrated changes nothing (Kidger et al., "Hey, that's not an ODE", ICML 2021)."""
    place, step, slope = 0.0, FIRST_STEP, rate(0.0, state)
    sums = [torch.zeros_like(part) for part in slope[1]]
    while place < 1:
        step = min(step, 1 - place)
        arrived, slopes = _stages(rate, place, step, state, slope)
        error = step * _weighted(DIFFERENCE, [first for first, _ in slopes])
        ratio = float((error / (atol + rtol * torch.maximum(state.abs(), arrived.abs()))).square().mean().sqrt())
        if ratio <= 1:
            sums = [
                total + step * _weighted(STAGES[-1], parts) for total, parts in zip(sums, _columns(slopes), strict=True)
            ]
            place, state, slope = place + step, arrived, slopes[-1]
            place = 1.0 if place > 1 - LEAST_STEP else place
        elif step < LEAST_STEP or ratio != ratio:
            raise Diverged("the motion cannot be followed", why="velocities change too fast", todo="use a lower rate")
        step *= min(max(SAFETY * max(ratio, 1e-10) ** -0.2, SHORTER), LONGER)
    return state, sums


def _stages(
    rate: Rate, place: float, step: float, state: Tensor, slope: tuple[Tensor, Sequence[Tensor]]
) -> tuple[Tensor, list[tuple[Tensor, Sequence[Tensor]]]]:
    """State after a step, and the seven slopes of it; the last is the first of the next step."""
    slopes, arrived = [slope], state
    for node, weights in zip(NODES, STAGES, strict=True):
        arrived = state + step * _weighted(weights, [first for first, _ in slopes])
        slopes.append(rate(place + node * step, arrived))
    return arrived, slopes


def _columns(slopes: list[tuple[Tensor, Sequence[Tensor]]]) -> list[list[Tensor]]:
    """Of each integrand its values at the stages of a step; the last of these has no weight."""
    return [list(column) for column in zip(*(parts for _, parts in slopes[:-1]), strict=True)]


def _weighted(weights: Sequence[float], parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([weight * part for weight, part in zip(weights, parts, strict=True) if weight]).sum(dim=0)
