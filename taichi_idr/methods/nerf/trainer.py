"""The trainer of preset `nerf` (NERF-2 and NERF-4)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from ...capture.masks import has_silhouettes
from ...capture.pixels import PixelBatch
from ...types import Capture
from ..epochs import EpochTrainer
from ..trainer import StepReport
from .model import OPAQUE, NerfModel
from .settings import NerfConfig


class NerfTrainer(EpochTrainer):
    """One view and `schedule.rays` pixels a step; the cameras are the capture's.

    Photos are taken as they are; where they have masks, the object before an even background.
    """

    config: NerfConfig
    model: NerfModel
    splits = True

    def __init__(self, config: NerfConfig, capture: Capture, device: torch.device) -> None:
        super().__init__(config, config.schedule, NerfModel(config, device), capture, width=config.network.width)
        if has_silhouettes(capture.masks):
            cast(Tensor, self.model.far).fill_(config.volume.radius)

    @property
    def rate(self) -> float:
        """NERF-4: falls by the same factor every step."""
        schedule = self.config.schedule
        return super().rate * (schedule.rate_end / schedule.rate) ** self.progress

    def losses(self, batch: PixelBatch) -> StepReport:
        """Squared errors of the colours at pixels R, of the coarse samples and of all."""
        volume, model = self.config.volume, self.model
        rays = self.poses.rays(batch.view, batch.position.to(model.dtype)).detach()
        place, more = (self.uniform(len(batch), count) for count in (volume.coarse, volume.fine))
        coarse, fine = model.volume_looks(rays, place, more)
        observed = self._before_background(batch).to(model.dtype)
        errors = [((look.colour - observed) ** 2).mean() for look in (coarse, fine)]
        measured = {"squared_error": errors[1].detach(), "hits": (fine.share.sum(dim=1) > OPAQUE).sum()}
        return StepReport(torch.stack(errors).sum(), {"coarse": errors[0], "fine": errors[1]}, measured)

    def _before_background(self, batch: PixelBatch) -> Tensor:
        """Colours (R, 3) in [0, 1]; what is not the object has the background's."""
        background = float(self.config.volume.background == "white")
        return torch.where(batch.is_object[:, None], (batch.colour + 1) / 2, background)
