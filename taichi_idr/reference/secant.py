"""Twin of the sampler and of regula falsi (kernels/secant.py): one ray at a time."""

from __future__ import annotations

from .sphere_trace import FieldAlongRay


def first_crossing(values: list[float]) -> tuple[int, int] | None:
    """Indices of the sample before the first negative one, and of that one (TRACE-8); None where none is negative.

    A negative sample 0 is its own predecessor.
    """
    for k, value in enumerate(values):
        if value < 0:
            return max(k - 1, 0), k
    return None


def regula_falsi(low: float, high: float, ask: FieldAlongRay, iterations: int) -> float:
    """Root between low (f >= 0) and high (f < 0); the bracket is kept (TRACE-10)."""
    f_low, f_high = ask(low), ask(high)
    root = false_position(low, f_low, high, f_high)
    for _ in range(iterations):
        value = ask(root)
        if value > 0:
            low, f_low = root, value
        elif value < 0:
            high, f_high = root, value
        root = false_position(low, f_low, high, f_high)
    return root


def false_position(t_low: float, f_low: float, t_high: float, f_high: float) -> float:
    """Zero of the chord; the end inside where the chord has no slope."""
    if not f_high < f_low:
        return t_high
    return t_low - f_low * (t_high - t_low) / (f_high - f_low)
