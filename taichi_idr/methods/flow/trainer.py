"""Trains both networks of `tidr flow` (FLOW-2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from ... import runtime
from ...errors import Diverged
from .network import OccupancyFlow
from .prepared import LabelledSequence
from .settings import FlowConfig

WIDE = 256  # layers from which a product of some thousand rows is worth a second thread


class FlowTrainer:
    """One optimiser for shape and motion; `step` moves them by one batch.

    In the first part of the steps only early times are asked, more and more: a body is followed from where it was, and
    no limb is taken for another that is in its place later.
    """

    def __init__(self, config: FlowConfig, sequence: LabelledSequence, device: torch.device) -> None:
        self.config = config
        self.generator = torch.Generator().manual_seed(config.seed)
        self.flow = OccupancyFlow(config, device, self.generator)
        self.times = torch.from_numpy(sequence.times).to(device)
        self.points = torch.from_numpy(sequence.points).to(device)
        self.inside = torch.from_numpy(sequence.inside).to(device, torch.float32)
        self.ways = None if sequence.ways is None else torch.from_numpy(sequence.ways).to(device)
        self.half = sequence.half
        self.adam = torch.optim.Adam(self.flow.parameters(), lr=config.schedule.rate, fused=True)
        self.steps_done = 0

    def step(self) -> float:
        """Move the networks by one batch; the loss, and nothing moves where it is not finite."""
        self.adam.zero_grad()
        loss = self._loss()
        value = float(loss.detach())
        if math.isfinite(value):
            loss.backward()
            self.adam.param_groups[0]["lr"] = self.rate
            self.adam.step()
        self.steps_done += 1
        return value

    @property
    def rate(self) -> float:
        return self.config.schedule.rate * self.fallen

    @property
    def fallen(self) -> float:
        """From 1 down to `floor`, by a cosine."""
        schedule = self.config.schedule
        cosine = 0.5 * (1 + math.cos(math.pi * self.steps_done / schedule.steps))
        return schedule.floor + (1 - schedule.floor) * cosine

    @property
    def frames(self) -> int:
        """How many frames, from the first, are asked now: two at least."""
        schedule, count = self.config.schedule, len(self.times)
        if self.steps_done >= schedule.unlocked * schedule.steps:
            return count
        return max(math.ceil(count * self.steps_done / (schedule.unlocked * schedule.steps)), 2)

    def _loss(self) -> Tensor:
        weights, samples = self.config.loss, self.config.samples
        terms = [weights.reconstruction_weight * self._reconstruction()]
        if weights.correspondence_weight:
            terms.append(weights.correspondence_weight * self._correspondence())
        if weights.strain_weight:
            terms.append(self.fallen * weights.strain_weight * self._strain(samples.later))
        return torch.stack(terms).sum()

    def _reconstruction(self) -> Tensor:
        """Cross entropy at time 0 plus that at later times, whose points are pulled back (FLOW-2)."""
        samples = self.config.samples
        still, inside = self._drawn(torch.zeros(samples.first, dtype=torch.int64))
        frame = 1 + torch.randint(self.frames - 1, (samples.later,), generator=self.generator)
        later, then = self._drawn(frame)
        times = self.times[frame.to(self.times.device)]
        pulled = self.flow.moved(later, times, torch.zeros_like(times))
        logits = self.flow.logit(torch.cat([still, pulled]))
        first, second = logits.split([samples.first, samples.later])
        return binary_cross_entropy_with_logits(first, inside) + binary_cross_entropy_with_logits(second, then)

    def _correspondence(self) -> Tensor:
        """Mean distance of vertices, moved from time 0, from where they are known to be (FLOW-2, L_corr)."""
        assert self.ways is not None  # asked before the fit began
        count = self.config.samples.surface
        frame = 1 + torch.randint(self.frames - 1, (count,), generator=self.generator)
        vertex = torch.randint(self.ways.shape[1], (count,), generator=self.generator)
        frame, vertex = frame.to(self.ways.device), vertex.to(self.ways.device)
        times = self.times[frame]
        moved = self.flow.moved(self.ways[0, vertex], torch.zeros_like(times), times)
        return (moved - self.ways[frame, vertex]).norm(dim=1).mean()

    def _strain(self, count: int) -> Tensor:
        """Mean squared rate at which short lines inside the body change their length: none in a rigid motion.

        u . (v(p + h u) - v(p - h u)) / 2h for a random direction u is u . E u, with the rate of strain E.
        """
        reach = self.config.loss.strain_reach / 2
        device = self.times.device
        frame = torch.randint(self.frames, (count,), generator=self.generator)
        points, inside = self._drawn(frame)
        times = self.times[frame.to(device)]
        across = normalize(torch.randn(count, 3, generator=self.generator), dim=1).to(device)
        both = torch.cat([points + reach * across, points - reach * across])
        ahead, behind = self.flow.velocity(both, times.repeat(2)).chunk(2)
        rate = ((ahead - behind) * across).sum(dim=1) / (2 * reach)
        return (inside * rate.square()).sum() / inside.sum().clamp_min(1)

    def _drawn(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """A point (N, 3) of each frame (N,) and whether it is inside, 0 or 1."""
        index = torch.randint(self.points.shape[1], frame.shape, generator=self.generator)
        frame, index = frame.to(self.points.device), index.to(self.points.device)
        return self.points[frame, index], self.inside[frame, index]


def threads_for(config: FlowConfig) -> AbstractContextManager[None]:
    """Around the steps: how many threads torch uses in them."""
    return runtime.small_batches() if config.occupancy.width < WIDE else nullcontext()


def fit_flow(trainer: FlowTrainer, report: Callable[[int, float], None]) -> None:
    """All steps; report gets the number of each and its loss. Raises Diverged where that is not finite."""
    for step in range(1, trainer.config.schedule.steps + 1):
        loss = trainer.step()
        if not math.isfinite(loss):
            raise Diverged("the loss is not finite", where=f"step {step}", todo="use a lower rate")
        report(step, loss)
