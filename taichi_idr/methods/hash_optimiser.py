"""Adam for networks on a hash grid and, row by row, for its table; schedule of the rates; state that can be saved."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from ..config import RatesConfig
from ..fields.hash_geometry import HashGeometry
from ..fields.table_adam import BETAS, EPSILON, TableAdam
from ..state import alike


class Optimiser:
    """One step over all parameters of a model, its geometry's table among them, and further tables by name.

    The networks' Adam is written out: torch's imports its compiler, which takes seconds and 70 MB.
    """

    def __init__(
        self,
        geometry: HashGeometry,
        parameters: Iterable[torch.nn.Parameter],
        schedule: RatesConfig,
        tables: Mapping[str, TableAdam] = MappingProxyType({}),
    ) -> None:
        self.schedule = schedule
        rates = schedule.table_rate, schedule.fine_rate
        self.table_adam = TableAdam(geometry.table, geometry.table_gradient, geometry.layout, *rates)
        self.tables = {"table": self.table_adam, **tables}
        owned = {id(adam.table) for adam in self.tables.values()}
        self.networks = [p for p in parameters if id(p) not in owned]
        self.network_moments = [[torch.zeros_like(p) for p in self.networks] for _ in BETAS]
        self.count = 0
        self.rate_scale = 1.0

    def zero_gradients(self) -> None:
        """Forget the gradients of an abandoned step as well as those of the last one."""
        for parameter in self.networks:
            parameter.grad = None

    def discard(self) -> None:
        """Drop this step's gradients without moving a parameter."""
        self.zero_gradients()
        for adam in self.tables.values():
            adam.gradient.zero_()

    def step(self, progress: float, others: Sequence[Tensor] = (), resting: Collection[str] = ()) -> bool:
        """Move every parameter, but for `resting` tables; `progress` in [0, 1] is the share of the run that is done.

        False, and nothing moves, where a network's gradient (the tables' cotangents run through it) or one of `others`,
        of what else the step is to move, is not finite.
        """
        if not self._finite(others):
            self.discard()
            return False
        self.count += 1
        factor = self.rate_scale * rate_factor(self.schedule, progress)
        corrections = (1 - BETAS[0] ** self.count, 1 - BETAS[1] ** self.count)
        self._move_networks(self.schedule.network_rate * factor, *corrections)
        for name, adam in self.tables.items():
            if name in resting:
                adam.gradient.zero_()
            else:
                adam.step(factor, self.count)
        return True

    @torch.no_grad()
    def _move_networks(self, rate: float, first_correction: float, second_correction: float) -> None:
        for parameter, first, second in zip(self.networks, *self.network_moments, strict=True):
            if parameter.grad is None:
                continue
            first.lerp_(parameter.grad, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(parameter.grad, parameter.grad, value=1 - BETAS[1])
            scale = (second / second_correction).sqrt_().add_(EPSILON)
            parameter.addcdiv_(first, scale, value=-rate / first_correction)

    def _finite(self, others: Sequence[Tensor]) -> bool:
        gradients = [p.grad for p in self.networks if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))  # pyright: ignore[reportPrivateImportUsage]
        return all(bool(torch.isfinite(values).all()) for values in (norms, *others))

    def state(self) -> dict[str, Tensor]:
        """Moments and counters as named tensors."""
        tensors = {"count": torch.tensor(self.count), "rate_scale": torch.tensor(self.rate_scale, dtype=torch.float64)}
        return tensors | self._moments()

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Continue from `state()`."""
        self.count, self.rate_scale = int(tensors["count"]), float(tensors["rate_scale"])
        for name, moment in self._moments().items():
            moment.copy_(alike(tensors[name], moment))
        for adam in self.tables.values():
            adam.gradient.zero_()

    def _moments(self) -> dict[str, Tensor]:
        """By the names of the tables, and by the numbers of the other parameters with torch's names of the moments."""
        of_tables = {
            f"{name}.{order}": moment
            for name, adam in self.tables.items()
            for order, moment in zip(("first", "second"), adam.moments, strict=True)
        }
        return of_tables | {
            f"network.{number}.{name}": moment
            for name, moments in zip(("exp_avg", "exp_avg_sq"), self.network_moments, strict=True)
            for number, moment in enumerate(moments)
        }


def rate_factor(schedule: RatesConfig, progress: float) -> float:
    """Rise from zero over the warm-up, then 1, then a cosine down to `decay_floor`."""
    if progress < schedule.warmup:
        return progress / schedule.warmup
    if progress <= schedule.decay_start:
        return 1.0
    fall = (progress - schedule.decay_start) / (1 - schedule.decay_start)
    return schedule.decay_floor + (1 - schedule.decay_floor) * 0.5 * (1 + math.cos(math.pi * min(fall, 1.0)))
