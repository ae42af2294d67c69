"""How published systems went through their photos: one a step, Adam, rates that fall at epochs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from .. import runtime
from ..capture.pixels import Photos, PixelBatch
from ..config import EpochScheduleConfig, FitConfig
from ..errors import RankLost
from ..fields.model import Model
from ..poses.parameters import Poses
from ..state import adam_state, joined, load_adam_state, unprefixed
from ..types import Cameras, Capture
from .ranks import Order
from .trainer import Preview, StepReport, Trainer

EPOCHS_PER_SEED = 1 << 20  # no two fits of neighbouring seeds share an epoch's draws
WIDE = 256  # layers from which a product of some thousand rows is worth a second thread


class EpochPixels(Photos):
    """One view a step (section 5 of the method): an epoch shows each once, in random order.

    The pixels are drawn without replacement once per epoch. Views of equal size share them; each other size has a draw
    of its own. An epoch's draws follow from seed and epoch alone: a resumed fit needs no record of them.
    """

    def __init__(self, capture: Capture, schedule: EpochScheduleConfig, seed: int, device: torch.device) -> None:
        super().__init__(capture, device)
        self.rays, self.seed = schedule.rays, seed
        self._epoch = -1
        self._order: list[int] = []
        self._places: dict[tuple[int, int], Tensor] = {}

    def at_step(self, step: int) -> PixelBatch:
        """The pixels of a step: `schedule.rays` of its view, or all where it has fewer."""
        epoch, turn = divmod(step, len(self.sizes))
        if epoch != self._epoch:
            self._begin(epoch)
        chosen = self._order[turn]
        height, width = self.sizes[chosen].tolist()
        place = self._places[height, width]
        view = torch.full_like(place, chosen)
        return self.usable(self.batch(view, place // width, place % width, torch.ones_like(place, dtype=torch.bool)))

    def _begin(self, epoch: int) -> None:
        generator = torch.Generator().manual_seed((self.seed * EPOCHS_PER_SEED + epoch) % (1 << 63))
        self._order = torch.randperm(len(self.sizes), generator=generator).tolist()
        self._places = {
            (height, width): torch.randperm(height * width, generator=generator)[: self.rays].to(self.device)
            for height, width in sorted({(height, width) for height, width in self.sizes.tolist()})
        }
        self._epoch = epoch


def epoch_at(schedule: EpochScheduleConfig, step: int, total_steps: int) -> int:
    """Of the published schedule, which `schedule.steps` squeezes or stretches."""
    return step * schedule.epochs // total_steps


def rate_at(schedule: EpochScheduleConfig, epoch: int) -> float:
    """Learning rate of the networks."""
    return schedule.rate * schedule.rate_decay ** sum(epoch >= milestone for milestone in schedule.rate_epochs)


class EpochTrainer(Trainer):
    """One view and `schedule.rays` pixels a step, in the precision of the running backend."""

    schedule: EpochScheduleConfig

    def __init__(
        self, config: FitConfig, schedule: EpochScheduleConfig, model: Model, capture: Capture, *, width: int
    ) -> None:
        """model: of `config`, on the device of the fit. width: of its networks' layers."""
        self.config, self.schedule, self.model, self.width = config, schedule, model, width
        self.total_steps = schedule.steps or schedule.epochs * len(capture)
        self.pixels = EpochPixels(capture, schedule, config.seed, model.device)
        self.poses = Poses(capture.cameras, config.cameras, model.device, runtime.current().dtype)
        self.adam = torch.optim.Adam(model.parameters(), lr=schedule.rate, fused=True)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.rate_scale = 1.0

    def threads(self) -> AbstractContextManager[None]:
        return nullcontext() if self.width >= WIDE else super().threads()

    @property
    def epoch(self) -> int:
        """Of the published schedule, which `schedule.steps` squeezes or stretches."""
        return epoch_at(self.schedule, self.steps_done, self.total_steps)

    @property
    def rate(self) -> float:
        """Of the networks."""
        return self.rate_scale * rate_at(self.schedule, self.epoch)

    @abstractmethod
    def losses(self, batch: PixelBatch) -> StepReport:
        """The loss at pixels R, attached to the model."""

    def moved(self, batch: PixelBatch) -> None:
        """After the networks have moved by a batch's loss: what else moves with it."""

    def step(self) -> StepReport:
        """Draw a batch and move every parameter by it; where another rank is lost, everything is as it was before."""
        self.ranks.tell(Order.STEP, self.total_steps)
        before = self.generator.get_state()
        try:
            return self._stepped()
        except RankLost:
            self.generator.set_state(before)
            raise

    def _stepped(self) -> StepReport:
        self.adam.zero_grad()
        self.poses.zero_grad()
        batch = self.ranks.part(self.pixels.at_step(self.steps_done))
        report = self.losses(batch)
        self.applied = self.ranks.agree(torch.isfinite(report.loss))
        if self.applied:
            report.loss.backward()
            self.ranks.average_gradients([*self.model.parameters(), *self.poses.parameters()])
            self.applied = self._finite()
        report = self._of_all(report)
        if self.applied:
            for group in self.adam.param_groups:
                group["lr"] = self.rate
            self.adam.step()
            self.moved(batch)
        self.model.field_changed()
        self.steps_done += 1
        return report

    def _of_all(self, report: StepReport) -> StepReport:
        """What all ranks have measured."""
        found = self.ranks.totals({"loss": report.loss, **report.terms, **report.measured})
        return StepReport(
            found.pop("loss"), *({name: found[name] for name in of} for of in (report.terms, report.measured))
        )

    def _finite(self) -> bool:
        """Whether every gradient is."""
        parameters = [*self.model.parameters(), *self.poses.parameters()]
        gradients = [p.grad for p in parameters if p.grad is not None]
        return all(bool(torch.isfinite(gradient).all()) for gradient in gradients)

    def uniform(self, *shape: int) -> Tensor:
        """Random numbers in [0, 1) of the model's type, on its device; drawn for all ranks, so that each knows them."""
        rows, *rest = shape
        drawn = torch.rand(rows * self.ranks.world, *rest, generator=self.generator, dtype=self.model.dtype)
        return self.ranks.part(drawn).to(self.model.device)

    def halve_rates(self) -> None:
        self.ranks.tell(Order.HALVE)
        self.rate_scale *= 0.5

    def scheduled(self) -> dict[str, float]:
        return {"epoch": self.epoch, "rate": self.rate}

    def parts(self) -> dict[str, Mapping[str, Tensor]]:
        """States by name, of `state`."""
        return {"model": self.model.state_dict(), "adam": adam_state(self.adam)}

    def state(self) -> dict[str, Tensor]:
        """Parameters, moments, random numbers; the epoch's pixels follow from the step."""
        scale = torch.tensor(self.rate_scale, dtype=torch.float64)
        return {**joined(self.parts()), "rate_scale": scale, "generator": self.generator.get_state()}

    def load_state(self, tensors: dict[str, Tensor], step: int) -> None:
        self.ranks.tell_state(tensors, step)
        self.model.load_tensors(tensors)
        load_adam_state(self.adam, unprefixed("adam", tensors))
        self.rate_scale = float(tensors["rate_scale"])
        self.generator.set_state(tensors["generator"])
        self.steps_done = step

    def cameras(self) -> Cameras:
        return self.poses.cameras()

    def preview(self, view: int) -> Preview:
        return Preview(self.model, self.poses.cameras()[[view]], self.pixels.stored(view))
