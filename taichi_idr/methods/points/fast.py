"""Preset `fast` (PTS-3): the losses of IGR and SAL on a hash grid whose inside is known beforehand.

Without it IGR's loss closes a hash grid anywhere. The lattice's distance takes SAL's place: it has the sign, it is no
farther from zero where the cloud has a hole, and where points are dense it leaves the surface to them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...config import HashGeometryConfig
from ...fields.frozen import frozen
from ...fields.hash_geometry import HashGeometry
from ...tracing.lattice import interpolate
from ...types import Sdf
from ..hash_optimiser import Optimiser
from ..losses import eikonal_loss
from .prepared import Inside, PreparedCloud, neighbour_distance
from .settings import FastPointsConfig
from .terms import normal_term, surface_term

HULL_MARGIN = 2.5  # cells of the lattice by which its surface may be moved outwards
NEAR = 1.5  # cells of the lattice: its points that are on its surface


class FastTrainer:
    """A hash grid, one optimiser; `step` moves it by one batch."""

    def __init__(self, config: FastPointsConfig, cloud: PreparedCloud, inside: Inside, device: torch.device) -> None:
        self.config, self.device = config, device
        self.generator = torch.Generator().manual_seed(config.seed)
        self.geometry = HashGeometry(geometry_for(config, cloud.grain), device, self.generator)
        self.optimiser = Optimiser(self.geometry, self.geometry.parameters(), config.schedule)
        self.points, self.normals = torch.from_numpy(cloud.points), torch.from_numpy(inside.normals)
        self.deviation = torch.from_numpy(neighbour_distance(cloud.points, config.samples.neighbour))
        self.distance, self.measured = torch.from_numpy(inside.distance), torch.from_numpy(inside.measured)
        self.cell = 2 / (len(self.distance) - 1)
        self.unmeasured = config.loss.unmeasured * max(self.cell, cloud.grain)
        self.bodies = inside.bodies
        self.near = (self.distance.abs() < NEAR * self.cell).nonzero() * self.cell - 1
        self.steps_done = 0

    def step(self) -> float:
        """Move the field by one batch; the loss, and nothing moves where it is not finite."""
        schedule = self.config.schedule
        progress = min(self.steps_done / schedule.steps, 1.0)
        levels, first = self.geometry.config.levels, min(schedule.first_levels, self.geometry.config.levels)
        share = progress / schedule.levels_unlocked if schedule.levels_unlocked else 1.0
        self.geometry.active_levels = min(levels, first + int(share * (levels - first)))
        self.optimiser.zero_gradients()
        loss = self._loss()
        loss.backward()
        self.optimiser.step(progress)
        self.steps_done += 1
        return float(loss.detach())

    def sdf(self) -> Sdf:
        """f as it is now, for meshes; no surface is where the lattice has none near."""
        return frozen(self.geometry, self.distance.to(self.device), HULL_MARGIN * self.cell)

    def _loss(self) -> Tensor:
        weights, samples = self.config.loss, self.config.samples
        chosen = torch.randint(len(self.points), (samples.surface,), generator=self.generator)
        beside, elsewhere = self._around(chosen[: samples.around]), self._elsewhere()
        places = torch.cat([self.points[chosen], beside, elsewhere]).to(self.device)
        sdf, gradient = self.geometry.value_and_gradient(self.geometry.encode(places))
        on = slice(samples.surface)
        target, counts = interpolate(self.distance, elsewhere), interpolate(self.measured, elsewhere) > self.unmeasured
        away = (sdf[-len(elsewhere) :] - target.to(self.device)).abs() * counts.to(self.device)
        terms = (
            weights.surface_weight * surface_term(sdf[on]),
            weights.normal_weight * normal_term(gradient[on], self.normals[chosen].to(self.device)),
            weights.eikonal_weight * eikonal_loss(gradient[samples.surface :]),
            weights.distance_weight * away.mean(),
        )
        return torch.stack(terms).sum()

    def _around(self, chosen: Tensor) -> Tensor:
        offset = self.deviation[chosen, None] * torch.randn(len(chosen), 3, generator=self.generator)
        return (self.points[chosen] + offset).clamp(-1, 1)

    def _elsewhere(self) -> Tensor:
        samples = self.config.samples
        count = round(samples.near_share * samples.elsewhere)
        start = self.near[torch.randint(len(self.near), (count,), generator=self.generator)]
        near = start + samples.near * torch.randn(count, 3, generator=self.generator)
        anywhere = 2 * torch.rand(samples.elsewhere - count, 3, generator=self.generator) - 1
        return torch.cat([near, anywhere]).clamp(-1, 1)


def geometry_for(config: FastPointsConfig, grain: float) -> HashGeometryConfig:
    """The grid whose finest cell is `detail` grains; coarser than the settings', if that is coarser."""
    geometry = config.geometry
    finest = round(min(max(2 / (config.detail * grain), geometry.coarsest), geometry.finest))
    return geometry.model_copy(update={"finest": finest})
