"""The trainer of preset `dvr` (DVR-3 to DVR-8)."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ...capture.pixels import PixelBatch
from ...ops.intersection import surface_points
from ...types import Capture, Hits, Rays
from ..epochs import EpochTrainer
from ..losses import smoothness_loss
from ..steepness import follow
from ..trainer import StepReport
from .cube import cube_ends
from .model import DvrModel
from .network import UNIT_CUBE
from .settings import DvrConfig


def depth_error(rays: Rays, points: Tensor, known: Tensor) -> Tensor:
    """|t - d| (S,) of points (S, 3) = o + t v on unit rays, attached to them; 0 where d (S,) is 0, unknown."""
    depth = ((points - rays.origins) * rays.directions).sum(dim=1)
    return torch.where(known > 0, (depth - known).abs(), 0)


class DvrTrainer(EpochTrainer):
    """One view and `schedule.rays` pixels a step; the cameras are the capture's."""

    config: DvrConfig
    model: DvrModel

    def __init__(self, config: DvrConfig, capture: Capture, device: torch.device) -> None:
        super().__init__(config, config.schedule, DvrModel(config, device), capture, width=config.network.width)
        self._slopes = torch.zeros(0)

    @property
    def samples(self) -> int:
        """Along a ray now (DVR-3)."""
        march = self.config.march
        return march.samples[min(sum(self.progress >= share for share in march.finer), len(march.samples) - 1)]

    def losses(self, batch: PixelBatch) -> StepReport:
        """The loss at pixels R (DVR-6), a mean over all of them."""
        config, network, count = self.config.loss, self.model.network, len(batch)
        rays = self.poses.rays(batch.view, batch.position.to(self.model.dtype)).detach()
        hits = self.model.first_surface(rays, self.samples)
        on_surface = hits.hit & batch.is_object
        seen = rays[on_surface]
        points, normal, clamped = self.surface_points(seen, hits.depth[on_surface])
        self._slopes = normal.detach().norm(dim=1)
        predicted = network(points)[1]
        observed = ((batch.colour[on_surface] + 1) / 2).to(predicted.dtype)

        known = self.pixels.depth(batch).to(points)
        empty, full = self._beside_surface(rays, batch.is_object, hits, known)
        beside = points.detach() + config.neighbour * (2 * self.uniform(len(points), 3) - 1)
        terms = {
            "colour": (predicted - observed).abs().sum() / count,
            "free": config.free_weight * F.softplus(empty).sum() / count,
            "occupied": config.occupied_weight * F.softplus(-full).sum() / count,
            "smooth": config.smooth_weight
            * smoothness_loss(normal, self.model.occupied(beside)[1])
            * (len(points) / count),
            "depth": config.depth_weight * UNIT_CUBE * depth_error(seen, points, known[on_surface]).sum() / count,
        }
        measured = {
            "squared_error": ((predicted - observed) ** 2).sum() / max(predicted.numel(), 1),
            "intersection": on_surface.sum(),
            "union": (hits.hit | batch.is_object).sum(),
            "hits": hits.hit.sum(),
            "clamped": clamped,
        }
        return StepReport(torch.stack(list(terms.values())).sum(), terms, measured)

    def _beside_surface(self, rays: Rays, is_object: Tensor, hits: Hits, known: Tensor) -> tuple[Tensor, Tensor]:
        """Logits where background pixels have to see nothing, at the point that they hit or anywhere on their ray, and
        where missed object pixels have to see something: at their known depth (R,), or anywhere where that is 0."""
        entry, leave, meets = cube_ends(rays, self.config.march.half)
        anywhere = entry + self.uniform(len(rays)) * (leave - entry)
        asked = torch.where(hits.hit, hits.depth, torch.where(known > 0, known, anywhere))
        free, missed = meets & ~is_object, meets & is_object & ~hits.hit
        empty, full = (self.model.network(rays[part].at(asked[part]))[0] for part in (free, missed))
        return empty, full

    def surface_points(self, rays: Rays, depth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points (S, 3) at traced depths (S,), attached to the network by Lemma 1 (DVR-5); grad f (S, 3) there; how
        many rays graze."""
        value, normal = self.model.occupied(rays.at(depth))
        lemma = (depth, value, normal.detach())
        points, clamped = surface_points(rays.origins, rays.directions, *lemma, grazing=self.config.loss.grazing)
        return points, normal, clamped

    def moved(self, batch: PixelBatch) -> None:
        """Follow |grad f| at the step's surface points, which the steepness so far has scaled."""
        follow(cast(Tensor, self.model.steepness), self._slopes)

    def scheduled(self) -> dict[str, float]:
        return {**super().scheduled(), "samples": self.samples}
