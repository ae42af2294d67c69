"""The trainer of preset `idr`: sections 2 to 6 of the method, one photo a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...capture.pixels import PixelBatch
from ...ops.intersection import surface_points
from ...poses.adam import SparseAdam
from ...state import unprefixed
from ...tracing.exact import trace
from ...types import Capture, Hits, Rays, Sdf
from ..epochs import EpochTrainer
from ..losses import alpha_at, colour_loss, eikonal_loss, mask_loss
from ..trainer import StepReport
from .model import IdrModel
from .settings import IdrConfig, IdrScheduleConfig


@dataclass(frozen=True)
class IdrStep:
    """The loss of one batch: report.loss is attached to networks and poses.

    hits: how the R rays ended. on_surface (R,) bool: hit object pixels. points: (S, 3) there, attached (Lemma 1).
    """

    report: StepReport
    hits: Hits
    on_surface: Tensor
    points: Tensor


class CountedSdf:
    """A field that counts the points at which it was asked."""

    def __init__(self, sdf: Sdf) -> None:
        self.sdf, self.queries = sdf, 0

    def __call__(self, points: Tensor) -> Tensor:
        self.queries += len(points)
        return self.sdf(points)


class IdrTrainer(EpochTrainer):
    """One view and `schedule.rays` pixels a step; poses move at a rate of their own (CAM-5)."""

    config: IdrConfig
    model: IdrModel
    splits = True

    def __init__(self, config: IdrConfig, capture: Capture, device: torch.device) -> None:
        super().__init__(config, config.schedule, IdrModel(config, device), capture, width=config.geometry.width)
        self.pose_adam = SparseAdam(dict(self.poses.named_parameters()))
        self.sdf_queries = 0

    def losses(self, batch: PixelBatch) -> StepReport:
        return self.losses_with(batch, self.draw_box(), self.generator).report

    def draw_box(self) -> Tensor:
        """The uniform points (E, 3) of LOSS-3, this rank's of them."""
        count, dtype = self.config.loss.eikonal_points, self.model.dtype
        points = torch.rand(count, 3, generator=self.generator, dtype=dtype) * 2 - 1
        return self.ranks.part(points).to(self.model.device)

    def losses_with(self, batch: PixelBatch, box: Tensor, generator: torch.Generator) -> IdrStep:
        """The loss at pixels R and box points (E, 3); `generator` draws the random depths of TRACE-14.

        One sample of the field at the fixed traced points serves LOSS-3, Lemma 1 and, followed to the cameras in first
        order, LOSS-2.
        """
        config, count = self.config.loss, len(batch)
        rays = self.poses.rays(batch.view, batch.position.to(self.model.dtype))
        hits = self._trace(rays.detach(), batch.is_object, generator)
        on_surface = hits.hit & batch.is_object
        rest = ~on_surface

        traced = rays.at(hits.search_depth).detach()
        fixed = self.model.geometry.sample(torch.cat([traced, box]))
        sdf, normal = fixed.sdf[:count], fixed.gradient[:count].detach()
        seen = rays[on_surface]
        lemma = (hits.depth[on_surface], sdf[on_surface], normal[on_surface])
        points, clamped = surface_points(seen.origins, seen.directions, *lemma, grazing=config.grazing)
        predicted = self.model.radiance(points, seen.directions, self.model.geometry.sample(points))

        observed = batch.colour[on_surface].to(predicted.dtype)
        least = _followed(sdf[rest], normal[rest], rays[rest], hits.search_depth[rest])
        colour = colour_loss(predicted, observed, count)
        mask = config.mask_weight * mask_loss(least, batch.is_object[rest], self.alpha, count)
        eikonal = config.eikonal_weight * eikonal_loss(fixed.gradient)
        terms = {"colour": colour, "mask": mask, "eikonal": eikonal}
        measured = {
            "squared_error": ((predicted - observed) ** 2).sum() / max(predicted.numel(), 1) / 4,
            "intersection": on_surface.sum(),
            "union": (hits.hit | batch.is_object).sum(),
            "hits": hits.hit.sum(),
            "clamped": clamped,
        }
        report = StepReport(colour + mask + eikonal, terms, measured)
        return IdrStep(report, hits, on_surface, points)

    @property
    def alpha(self) -> float:
        return alpha_at(self.config.loss, doublings_at(self.config.schedule, self.epoch))

    def scheduled(self) -> dict[str, float]:
        return {**super().scheduled(), "alpha": self.alpha, "sdf_queries": self.sdf_queries}

    def parts(self) -> dict[str, Mapping[str, Tensor]]:
        """And poses with their moments."""
        return {**super().parts(), "poses": self.poses.state_dict(), "pose_adam": self.pose_adam.state()}

    def load_state(self, tensors: dict[str, Tensor], step: int) -> None:
        super().load_state(tensors, step)
        self.poses.load_state_dict(unprefixed("poses", tensors))
        self.pose_adam.load_state(unprefixed("pose_adam", tensors))

    def _trace(self, rays: Rays, is_object: Tensor, generator: torch.Generator) -> Hits:
        sdf, screened = CountedSdf(self.model.surface), self.model.screened
        hits = trace(rays, sdf, self.config.tracer, object_mask=is_object, generator=generator, screened=screened)
        self.sdf_queries = sdf.queries
        return hits

    def moved(self, batch: PixelBatch) -> None:
        """The batch's pose (CAM-5)."""
        if self.config.cameras.train:
            cameras = self.config.cameras
            rates = {"quaternions": cameras.quaternion_rate, "places": cameras.place_rate}
            self.pose_adam.step(batch.view[:1].long(), rates)


def doublings_at(schedule: IdrScheduleConfig, epoch: int) -> int:
    """LOSS-5: alpha doubles at the start of each of `alpha_epochs`."""
    return sum(epoch >= milestone for milestone in schedule.alpha_epochs)


def _followed(value: Tensor, normal: Tensor, rays: Rays, depth: Tensor) -> Tensor:
    """f (N,) at depth (N,) along rays that move with the cameras, from its value and gradient at the fixed point.

    The added term is zero; its derivative is that of f along the moving point (LOSS-2: x* fixed in t alone).
    """
    points = rays.at(depth)
    return value + (normal * (points - points.detach())).sum(dim=1)
