"""Trains an occupancy network (OCC-2): cross entropy of points, and a prior of the shapes' codes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ...errors import Diverged
from ...state import adam_state, joined, load_adam_state, prefixed, unprefixed
from ..hash_optimiser import Optimiser, rate_factor
from .network import HashOccupancy, OccupancyModel, occupancy_model
from .samples import Pool
from .settings import OccupancyScheduleConfig, ShapesConfig


class ShapesTrainer:
    """One network, one optimiser; `step` moves it by one batch of points of some shapes."""

    def __init__(self, config: ShapesConfig, pool: Pool, device: torch.device) -> None:
        self.config, self.pool, self.device = config, pool, device
        self.generator = torch.Generator().manual_seed(config.seed)
        self.model = occupancy_model(config, len(pool.points), device, self.generator)
        self.optimiser = make_optimiser(self.model, config.schedule)
        self.steps_done = 0

    def step(self) -> float:
        """Move the network by one batch; the loss over a point. Raises Diverged where it is not finite."""
        schedule = self.config.schedule
        self.model.train()
        self.optimiser.zero_gradients()
        loss = self.loss()
        value = float(loss.detach())
        if value - value != 0:
            raise Diverged("the loss is not finite", where=f"step {self.steps_done + 1}", todo="use lower rates")
        loss.backward()
        self.optimiser.step(min(self.steps_done / schedule.steps, 1.0))
        self.steps_done += 1
        return value

    def loss(self) -> Tensor:
        """OCC-2, of points summed and of shapes averaged, over the points of a shape: rates do not depend on these."""
        count, schedule = len(self.pool.points), self.config.schedule
        shapes = torch.randperm(count, generator=self.generator)[: schedule.shapes]
        points, inside = (part.to(self.device) for part in self.pool.drawn(shapes, schedule.points, self.generator))
        mean, log_deviation = self.model.posterior(points, inside)
        noise = torch.randn(mean.shape, generator=self.generator).to(mean)
        logits = self.model.logits(points, mean + log_deviation.exp() * noise)
        entropy = binary_cross_entropy_with_logits(logits, inside)
        return entropy + schedule.kl_weight / schedule.points * divergence(mean, log_deviation).mean()

    def state(self) -> dict[str, Tensor]:
        """All that a later session needs to go on bit by bit; `model.*` is what the network takes back."""
        parts = {"model": self.model.state_dict(), "optimiser": self.optimiser.state()}
        return joined(parts) | {"generator": self.generator.get_state()}

    def load_state(self, tensors: dict[str, Tensor], step: int) -> None:
        """Go on from `state()` as it was after `step` steps."""
        self.model.load_state_dict(unprefixed("model", tensors))
        self.optimiser.load_state(unprefixed("optimiser", tensors))
        self.generator.set_state(tensors["generator"])
        self.steps_done = step


def divergence(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """KL(N(mean, deviation^2) | N(0, 1)) (B,), summed over the numbers (B, Z) of a code."""
    return (0.5 * (mean**2 + (2 * log_deviation).exp() - 1) - log_deviation).sum(dim=-1)


class BlocksAdam:
    """Adam for networks without a hash table, with its schedule; the methods of `Optimiser` that a trainer calls."""

    def __init__(self, model: torch.nn.Module, schedule: OccupancyScheduleConfig) -> None:
        self.schedule = schedule
        self.adam = torch.optim.Adam(model.parameters(), lr=schedule.network_rate, fused=True)

    def zero_gradients(self) -> None:
        self.adam.zero_grad()

    def step(self, progress: float) -> None:
        """progress: share of the run that is done."""
        self.adam.param_groups[0]["lr"] = self.schedule.network_rate * rate_factor(self.schedule, progress)
        self.adam.step()

    def state(self) -> dict[str, Tensor]:
        return prefixed("adam", adam_state(self.adam))

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        load_adam_state(self.adam, unprefixed("adam", tensors))


def make_optimiser(model: OccupancyModel, schedule: OccupancyScheduleConfig) -> Optimiser | BlocksAdam:
    """What moves this network."""
    if isinstance(model, HashOccupancy):
        return Optimiser(model.geometry, model.parameters(), schedule)
    return BlocksAdam(model, schedule)
