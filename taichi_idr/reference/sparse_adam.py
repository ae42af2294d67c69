"""Twin of kernels/sparse_adam.py in plain torch."""

from __future__ import annotations

from torch import Tensor


def sparse_adam(
    rate: float,
    beta_1: float,
    beta_2: float,
    correction_1: float,
    correction_2: float,
    epsilon: float,
    share: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    parameter: Tensor,
) -> None:
    """In place: rows (R, C) with a gradient move at share (R,) of the rate, their gradient is cleared, others rest."""
    rows = (gradient != 0).any(dim=1)
    g = gradient[rows]
    first[rows] = beta_1 * first[rows] + (1 - beta_1) * g
    second[rows] = beta_2 * second[rows] + (1 - beta_2) * g * g
    step = (first[rows] / correction_1) / ((second[rows] / correction_2).sqrt() + epsilon)
    parameter[rows] -= rate * share[rows, None] * step
    gradient[rows] = 0
