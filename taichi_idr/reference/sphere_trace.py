"""Twin of the tracer's walk (kernels/sphere_trace.py): one ray at a time, rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..config import TracerConfig

FieldAlongRay = Callable[[float], float]
"""Depth -> f at that depth of one ray."""


@dataclass
class Front:
    """One end of the walk: its depth, +1 or -1 for its direction, f at its depth, and whether it still walks."""

    depth: float
    sign: int
    value: float
    active: bool = True


def sphere_trace(near: float, far: float, ask: FieldAlongRay, config: TracerConfig) -> tuple[Front, Front]:
    """Fronts A and B after the walk from both ends (TRACE-2 to TRACE-6)."""
    a, b = Front(near, 1, ask(near)), Front(far, -1, ask(far))
    for _ in range(config.sphere_tracing_iterations):
        for front in (a, b):
            _settle(front, config.tolerance)
            if front.active:
                _step(front, ask, config)
        if not a.depth < b.depth:
            a.active = b.active = False
    for front in (a, b):
        _settle(front, config.tolerance)
    return a, b


def _settle(front: Front, tolerance: float) -> None:
    front.active = front.active and front.value > tolerance


def _step(front: Front, ask: FieldAlongRay, config: TracerConfig) -> None:
    step = front.value
    front.depth += front.sign * step
    front.value = ask(front.depth)
    for i in range(config.line_search_iterations):
        if front.value < 0:
            front.depth -= front.sign * (1 - config.line_search_step) / 2**i * step
            front.value = ask(front.depth)
