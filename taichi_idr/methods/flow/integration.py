"""Points move with a velocity field through time (FLOW-3)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""Points (N, 3), times (N,) -> velocities (N, 3)."""


def runge_kutta_4(velocity: Velocity, points: Tensor, begin: Tensor, end: Tensor, steps: int) -> Tensor:
    """Where points (N, 3) are at times `end` (N,) that are at `points` at times `begin` (N,), earlier or later.

    Every point takes `steps` equal steps of the classic method of fourth order, whatever its span of time.
    Differentiable in points and in what `velocity` is made of.
    """
    step = (end - begin) / steps
    half, whole = step[:, None] / 2, step[:, None]
    for number in range(steps):
        time = begin + number * step
        first = velocity(points, time)
        second = velocity(points + half * first, time + step / 2)
        third = velocity(points + half * second, time + step / 2)
        fourth = velocity(points + whole * third, time + step)
        points = points + whole / 6 * (first + 2 * second + 2 * third + fourth)
    return points
