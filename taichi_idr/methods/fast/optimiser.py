"""Adam for the networks and, row by row, for the hash table; learning-rate schedule; state that can be saved."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ... import runtime
from ...kernels.hash_encoding import RESOLUTION, ROWS
from ...kernels.sparse_adam import sparse_adam
from ...ops.hash_encoding import HashLayout
from ...state import adam_state, load_adam_state, prefixed, unprefixed
from .model import FastModel
from .schedules import rate_factor
from .settings import ScheduleConfig

BETAS = (0.9, 0.99)
EPSILON = 1e-12


class Optimiser:
    """One step over all parameters of a model."""

    def __init__(self, model: FastModel, schedule: ScheduleConfig) -> None:
        self.schedule = schedule
        self.table = model.geometry.table
        self.table_gradient = model.geometry.table_gradient
        self.row_shares = level_shares(model.geometry.layout, schedule.fine_rate)
        self.table_moments = [torch.zeros_like(self.table), torch.zeros_like(self.table)]
        self.networks = [p for p in model.parameters() if p is not self.table]
        self.adam = torch.optim.Adam(self.networks, betas=BETAS, eps=EPSILON, fused=True)
        self.count = 0
        self.rate_scale = 1.0

    def zero_gradients(self) -> None:
        """Forget the gradients of an abandoned step as well as those of the last one."""
        self.adam.zero_grad(set_to_none=True)

    def discard(self) -> None:
        """Drop this step's gradients without moving a parameter."""
        self.zero_gradients()
        self.table_gradient.zero_()

    def step(self, progress: float, others: Sequence[Tensor] = ()) -> bool:
        """Move every parameter; `progress` in [0, 1] is the share of the run that is done.

        False, and nothing moves, where a network's gradient (the table's cotangents run through it) or one of `others`,
        of what else the step is to move, is not finite.
        """
        if not self._finite(others):
            self.discard()
            return False
        self.count += 1
        factor = self.rate_scale * rate_factor(self.schedule, progress)
        for group in self.adam.param_groups:
            group["lr"] = self.schedule.network_rate * factor
        self.adam.step()
        corrections = (1 - BETAS[0] ** self.count, 1 - BETAS[1] ** self.count)
        moments = (self.table_gradient, *self.table_moments)
        rate = self.schedule.table_rate * factor
        runtime.launch(sparse_adam, rate, *BETAS, *corrections, EPSILON, self.row_shares, *moments, self.table)
        return True

    def _finite(self, others: Sequence[Tensor]) -> bool:
        gradients = [p.grad for p in self.networks if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))  # pyright: ignore[reportPrivateImportUsage]
        return all(bool(torch.isfinite(values).all()) for values in (norms, *others))

    def state(self) -> dict[str, Tensor]:
        """Moments and counters as named tensors."""
        tensors = {"count": torch.tensor(self.count), "rate_scale": torch.tensor(self.rate_scale, dtype=torch.float64)}
        tensors["table.first"], tensors["table.second"] = self.table_moments
        return {**tensors, **prefixed("network", adam_state(self.adam))}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Continue from `state()`."""
        self.count, self.rate_scale = int(tensors["count"]), float(tensors["rate_scale"])
        for moment, name in zip(self.table_moments, ("first", "second"), strict=True):
            moment.copy_(tensors[f"table.{name}"])
        load_adam_state(self.adam, unprefixed("network", tensors))
        self.table_gradient.zero_()


def level_shares(layout: HashLayout, power: float) -> Tensor:
    """Share (R,) of the learning rate for each row of the table: the level's cell over the coarsest one, to `power`.

    Adam's steps are as long in every level, but one in a fine cell tilts the field the more, the smaller the cell.
    """
    resolution, rows = layout.levels[:, RESOLUTION], layout.levels[:, ROWS]
    return (resolution[0] / resolution).pow(power).repeat_interleave(rows.long())
