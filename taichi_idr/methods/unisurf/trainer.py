"""The trainer of preset `unisurf` (UNI-4 to UNI-7)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from ...capture.pixels import PixelBatch
from ...types import Capture
from ..epochs import EpochTrainer
from ..losses import smoothness_loss
from ..steepness import follow
from ..trainer import StepReport
from .model import UnisurfModel
from .samples import half_width, sample_depths
from .settings import UnisurfConfig


class UnisurfTrainer(EpochTrainer):
    """One view and `schedule.rays` pixels a step, whatever they show; the cameras are the capture's."""

    config: UnisurfConfig
    model: UnisurfModel

    def __init__(self, config: UnisurfConfig, capture: Capture, device: torch.device) -> None:
        super().__init__(config, config.schedule, UnisurfModel(config, device), capture, width=config.geometry.width)
        self._slopes = torch.zeros(0)

    @property
    def half_width(self) -> float:
        """Of the interval about the surface now (UNI-4)."""
        return half_width(self.config.interval, self.progress)

    @property
    def before(self) -> int:
        """Samples of a ray before that interval now (UNI-5)."""
        interval = self.config.interval
        return interval.before if self.progress >= interval.before_from else 0

    def losses(self, batch: PixelBatch) -> StepReport:
        """The loss at pixels R (UNI-6)."""
        model, config, count = self.model, self.config.loss, len(batch)
        rays = self.poses.rays(batch.view, batch.position.to(model.dtype)).detach()
        ends, hits = model.first_surface(rays)
        place = self.uniform(count, self.before + self.config.interval.samples)
        depths = sample_depths(ends, hits, self.half_width, self.before, place)
        predicted = model.volume_colour(rays, ends, depths)
        observed = ((batch.colour + 1) / 2).to(predicted.dtype)

        points = rays.at(hits.depth)[hits.hit]
        beside = points + config.neighbour * (2 * self.uniform(len(points), 3) - 1)
        normals, neighbours = model.sample(torch.cat([points, beside])).gradient.chunk(2)
        on_object = model.on_object(rays, hits)
        slopes = normals.detach().norm(dim=1) / cast(Tensor, model.steepness)
        self._slopes = slopes[on_object[hits.hit]]
        terms = {
            "colour": (predicted - observed).abs().sum() / count,
            "smooth": config.smooth_weight * smoothness_loss(normals, neighbours),
        }
        measured = {"squared_error": ((predicted - observed) ** 2).mean(), "hits": on_object.sum()}
        return StepReport(torch.stack(list(terms.values())).sum(), terms, measured)

    def moved(self, batch: PixelBatch) -> None:
        """What the model keeps of this step beside its networks."""
        follow(cast(Tensor, self.model.steepness), self._slopes)
        cast(Tensor, self.model.reach).fill_(self.half_width)

    def scheduled(self) -> dict[str, float]:
        return {**super().scheduled(), "half_width": self.half_width, "before": self.before}
