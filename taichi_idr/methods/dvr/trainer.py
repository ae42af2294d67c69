"""The trainer of preset `dvr` (DVR-3 to DVR-8)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import runtime
from ...capture.pixels import PixelBatch
from ...ops.intersection import surface_points
from ...poses.parameters import Poses
from ...state import adam_state, joined, load_adam_state, unprefixed
from ...types import Cameras, Capture, Hits, Rays
from ..epochs import EpochPixels, epoch_at, rate_at
from ..losses import smoothness_loss
from ..trainer import Preview, StepReport, Trainer
from .march import cube_ends, first_surface
from .model import DvrModel
from .settings import DvrConfig

WIDE = 256  # layers from which a product of some thousand rows is worth a second thread
MEMORY = 0.95  # of the steepness, in steps


class DvrTrainer(Trainer):
    """One view and `schedule.rays` pixels a step; the cameras are the capture's."""

    config: DvrConfig

    def __init__(self, config: DvrConfig, capture: Capture, device: torch.device) -> None:
        schedule = config.schedule
        self.config = config
        self.total_steps = schedule.steps or schedule.epochs * len(capture)
        self.model = DvrModel(config, device)
        self.pixels = EpochPixels(capture, schedule, config.seed, device)
        self.poses = Poses(capture.cameras, config.cameras, device, runtime.current().dtype)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=schedule.rate, fused=True)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.rate_scale = 1.0
        self._slopes = torch.zeros(0)

    def threads(self) -> AbstractContextManager[None]:
        return nullcontext() if self.config.network.width >= WIDE else super().threads()

    @property
    def epoch(self) -> int:
        """Of the published schedule, which `schedule.steps` squeezes or stretches."""
        return epoch_at(self.config.schedule, self.steps_done, self.total_steps)

    @property
    def rate(self) -> float:
        return self.rate_scale * rate_at(self.config.schedule, self.epoch)

    @property
    def samples(self) -> int:
        """Along a ray now (DVR-3)."""
        march = self.config.march
        return march.samples[min(sum(self.progress >= share for share in march.finer), len(march.samples) - 1)]

    def step(self) -> StepReport:
        self.adam.zero_grad()
        report = self.losses(self.pixels.at_step(self.steps_done))
        self.applied = bool(torch.isfinite(report.loss))
        if self.applied:
            report.loss.backward()
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            self.applied = all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
        if self.applied:
            for group in self.adam.param_groups:
                group["lr"] = self.rate
            self.adam.step()
            self._follow_steepness()
        self.steps_done += 1
        return report

    def losses(self, batch: PixelBatch) -> StepReport:
        """The loss at pixels R (DVR-6), a mean over all of them."""
        config, network, count = self.config.loss, self.model.network, len(batch)
        rays = self.poses.rays(batch.view, batch.position.to(self.model.dtype)).detach()
        hits = first_surface(rays, self.model.in_cube, self.config.march, self.samples)
        on_surface = hits.hit & batch.is_object
        seen = rays[on_surface]
        points, normal, clamped = self.surface_points(seen, hits.depth[on_surface])
        self._slopes = normal.detach().norm(dim=1)
        predicted = network(points)[1]
        observed = ((batch.colour[on_surface] + 1) / 2).to(predicted.dtype)

        empty, full = self._beside_surface(rays, batch.is_object, hits)
        beside = points.detach() + config.neighbour * (2 * self._uniform(len(points), 3) - 1)
        terms = {
            "colour": (predicted - observed).abs().sum() / count,
            "free": config.free_weight * F.softplus(empty).sum() / count,
            "occupied": config.occupied_weight * F.softplus(-full).sum() / count,
            "smooth": config.smooth_weight
            * smoothness_loss(normal, self.model.occupied(beside)[1])
            * (len(points) / count),
        }
        measured = {
            "squared_error": ((predicted - observed) ** 2).sum() / max(predicted.numel(), 1),
            "intersection": on_surface.sum(),
            "union": (hits.hit | batch.is_object).sum(),
            "hits": hits.hit.sum(),
            "clamped": clamped,
        }
        return StepReport(torch.stack(list(terms.values())).sum(), terms, measured)

    def _beside_surface(self, rays: Rays, is_object: Tensor, hits: Hits) -> tuple[Tensor, Tensor]:
        """Logits where background pixels have to see nothing, at the point that they hit or anywhere on their ray, and
        where missed object pixels have to see something."""
        entry, leave, meets = cube_ends(rays, self.config.march.half)
        anywhere = entry + self._uniform(len(rays)) * (leave - entry)
        asked = torch.where(hits.hit, hits.depth, anywhere)
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

    def _follow_steepness(self) -> None:
        """From |grad f| at the step's surface points, which the steepness so far has scaled."""
        if len(self._slopes):
            steepness = cast(Tensor, self.model.steepness)
            steepness *= (1 + (1 - MEMORY) * (self._slopes.mean() - 1)).clamp(min=0.5, max=2)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, dtype=self.model.dtype).to(self.model.device)

    def halve_rates(self) -> None:
        self.rate_scale *= 0.5

    def scheduled(self) -> dict[str, float]:
        return {"epoch": self.epoch, "rate": self.rate, "samples": self.samples}

    def state(self) -> dict[str, Tensor]:
        """Parameters, moments, random numbers; the epoch's pixels follow from the step."""
        scale = torch.tensor(self.rate_scale, dtype=torch.float64)
        parts = {"model": self.model.state_dict(), "adam": adam_state(self.adam)}
        return {**joined(parts), "rate_scale": scale, "generator": self.generator.get_state()}

    def load_state(self, tensors: dict[str, Tensor], step: int) -> None:
        self.model.load_tensors(tensors)
        load_adam_state(self.adam, unprefixed("adam", tensors))
        self.rate_scale = float(tensors["rate_scale"])
        self.generator.set_state(tensors["generator"])
        self.steps_done = step

    def cameras(self) -> Cameras:
        return self.poses.cameras()

    def preview(self, view: int) -> Preview:
        return Preview(self.model, self.poses.cameras()[[view]], self.pixels.stored(view))
