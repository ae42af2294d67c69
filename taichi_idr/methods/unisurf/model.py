"""The field that preset `unisurf` learns, and what rays see of it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...fields.mlp_model import MlpFieldModel
from ...fields.model import Look
from ...ops.compositing import weights
from ...ops.sphere_bounds import sphere_bounds
from ...tracing.sampled import Ends, first_surface
from ...tracing.volume import points_on
from ...types import Hits, HitStatus, Rays
from .samples import sample_depths
from .settings import UnisurfConfig

CPU_CHUNK = 8192  # points: of fewer a look's parts are some rays each, whose bookkeeping outweighs the networks


class UnisurfModel(MlpFieldModel):
    """o = sigmoid(-10 f), inside the far sphere. The object is what of it lies within the sphere of radius 1: that
    alone is hit and meshed; pictures show what lies beyond as well, as photos do.

    steepness: mean |grad f| on the object in the last steps; over it, `surface` is nearly a distance. reach: half the
    width of the interval in which samples about the surface lie, as in the last step.
    """

    config: UnisurfConfig

    def __init__(self, config: UnisurfConfig, device: torch.device, generator: torch.Generator | None = None) -> None:
        super().__init__(config, config.geometry, config.radiance, device, generator)
        self.chunk = CPU_CHUNK if device.type == "cpu" else self.chunk
        options = {"device": device, "dtype": self.dtype}
        self.register_buffer("steepness", torch.ones((), **options))
        self.register_buffer("reach", torch.tensor(config.interval.widest, **options))

    @property
    def radius(self) -> float:
        return self.config.volume.radius

    def surface(self, points: Tensor) -> Tensor:
        return self.logits(points) / cast(Tensor, self.steepness)

    def gradient(self, points: Tensor) -> Tensor:
        return super().gradient(points) / cast(Tensor, self.steepness)

    def logits(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3), as the network has it; no graph."""
        return super().surface(points)

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        """Where rays first meet the object: not where something stands before it."""
        _, hits = self.first_surface(rays, preview=preview)
        beside = hits.hit & ~self.on_object(rays, hits)
        return Hits(hits.depth, hits.search_depth, hits.status.masked_fill(beside, int(HitStatus.MISSED)))

    def first_surface(self, rays: Rays, *, preview: bool = False) -> tuple[Ends, Hits]:
        """Depths between which rays (R,) are in the far sphere, and the first surface between them (UNI-5)."""
        config = self.config.surface
        ends = sphere_bounds(rays.origins, rays.directions, self.config.volume.far)
        samples = max(config.samples // 2, 2) if preview else config.samples
        return ends, first_surface(rays, ends, self.logits, samples=samples, secant_iterations=config.secant_iterations)

    def on_object(self, rays: Rays, hits: Hits) -> Tensor:
        """Which (R,) of the hits are on the object."""
        return hits.hit & (rays.at(hits.depth).norm(dim=1) <= self.radius)

    def volume_colour(self, rays: Rays, ends: Ends, depths: Tensor) -> Tensor:
        """Colours (R, 3) in [0, 1] that rays add up at depths (R, S), attached to the networks (UNI-2)."""
        points, directions = points_on(rays, depths)
        sample = self.sample(points)
        colour = (self.radiance(points, directions, sample) + 1) / 2
        occupied = torch.sigmoid(-self.config.volume.sharpness * sample.sdf).view_as(depths)
        share = weights(occupied * ends[2][:, None])
        shown = (share[:, :, None] * colour.view(*depths.shape, 3)).sum(dim=1)
        return shown + (1 - share.sum(dim=1, keepdim=True)) * (self.config.volume.background == "white")

    @torch.no_grad()
    def look(self, rays: Rays, *, preview: bool = False) -> Look:
        """Colours are those of UNI-2, in the middle of each part; normal and depth are the object's first surface's."""
        interval = self.config.interval
        many = max(self.chunk // (interval.samples + interval.before), 1)
        index = torch.arange(len(rays), device=rays.origins.device)
        parts = [self._look(rays[part], preview=preview) for part in index.split(many)]
        return Look(*(torch.cat(column) for column in zip(*(vars(part).values() for part in parts), strict=True)))

    def _look(self, rays: Rays, *, preview: bool) -> Look:
        interval = self.config.interval
        ends, hits = self.first_surface(rays, preview=preview)
        hit = self.on_object(rays, hits)
        middle = rays.origins.new_full((len(rays), interval.before + interval.samples), 0.5)
        depths = sample_depths(ends, hits, cast(Tensor, self.reach), interval.before, middle)
        normal = torch.zeros_like(rays.origins)
        normal[hit] = normalize(self.gradient(rays.at(hits.depth)[hit]), dim=1)
        colour = self.volume_colour(rays, ends, depths).clamp(0, 1)
        return Look(colour, normal, hits.depth.masked_fill(~hit, torch.inf), hit)
