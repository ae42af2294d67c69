"""Presets `igr` and `sal` (PTS-1, PTS-2): Gropp et al., "Implicit geometric regularization", ICML 2020; Atzmon and
Lipman, "SAL: sign agnostic learning", CVPR 2020."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...fields.mlp_geometry import MlpGeometry
from ...fields.sample import CHUNK
from ...machine import available_cores
from ...nearest import tree_of
from ...types import Sdf
from ..losses import eikonal_loss
from .prepared import PreparedCloud, neighbour_distance
from .settings import PublishedConfig
from .terms import normal_term, surface_term, unsigned_term

CPU_CHUNK = 2048  # points: a wide network's layer still fits the cache


class PublishedTrainer:
    """One network, one optimiser; `step` moves it by one batch."""

    bodies = 1  # that a mesh has, where nothing else is asked for

    def __init__(self, config: PublishedConfig, cloud: PreparedCloud, device: torch.device) -> None:
        self.config, self.device = config, device
        self.generator = torch.Generator().manual_seed(config.seed)
        self.geometry = MlpGeometry(config.geometry, device, self.generator)
        self.points = torch.from_numpy(cloud.points)
        self.normals = _unit(cloud.thinned.cloud.normals)
        self.deviation = torch.from_numpy(neighbour_distance(cloud.points, config.samples.neighbour))
        self.tree = tree_of(cloud.points)
        self.adam = torch.optim.Adam(self.geometry.parameters(), lr=config.schedule.rate, fused=True)
        self.steps_done = 0

    def step(self) -> float:
        """Move the network by one batch; the loss, and nothing moves where it is not finite."""
        self.adam.zero_grad()
        loss = self._loss()
        value = float(loss.detach())
        if np.isfinite(value):
            loss.backward()
            self.adam.param_groups[0]["lr"] = self.rate
            self.adam.step()
        self.steps_done += 1
        return value

    @property
    def rate(self) -> float:
        schedule = self.config.schedule
        falls = 0 if schedule.rate_interval is None else self.steps_done // schedule.rate_interval
        return schedule.rate * schedule.rate_decay**falls

    def sdf(self) -> Sdf:
        """f as it is now, for meshes."""
        field, chunk = self.geometry.frozen(), CPU_CHUNK if self.device.type == "cpu" else CHUNK
        return lambda points: torch.cat([field(part) for part in points.split(chunk)])

    def _loss(self) -> Tensor:
        weights, samples = self.config.loss, self.config.samples
        chosen = torch.randint(len(self.points), (samples.surface,), generator=self.generator)
        on, off = self.points[chosen], self.off_surface(chosen)
        terms = []
        if weights.surface_weight or (weights.normal_weight and self.normals is not None):
            found = self.geometry.sample(on.to(self.device))
            terms.append(weights.surface_weight * surface_term(found.sdf))
            if self.normals is not None:
                known = self.normals[chosen].to(self.device)
                terms.append(weights.normal_weight * normal_term(found.gradient, known))
        if weights.eikonal_weight:
            terms.append(weights.eikonal_weight * eikonal_loss(self.geometry.sample(off.to(self.device)).gradient))
        if weights.unsigned_weight:
            distance, _ = self.tree.query(off.numpy(), workers=available_cores())
            target = torch.from_numpy(distance.astype(np.float32)).to(self.device)
            terms.append(weights.unsigned_weight * unsigned_term(self.geometry.sdf(off.to(self.device)), target))
        return torch.stack(terms).sum()

    def off_surface(self, chosen: Tensor) -> Tensor:
        """Points beside the chosen ones (S,), one for each, and elsewhere: (S + share, 3), PTS-1."""
        samples = self.config.samples
        around = self.points[chosen] + self.deviation[chosen, None] * self._normal(len(chosen))
        count = round(samples.elsewhere * len(chosen))
        if samples.spread == "uniform":
            elsewhere = samples.reach * (2 * torch.rand(count, 3, generator=self.generator) - 1)
        else:
            start = torch.randint(len(self.points), (count,), generator=self.generator)
            elsewhere = self.points[start] + samples.reach * self._normal(count)
        return torch.cat([around, elsewhere])

    def _normal(self, count: int) -> Tensor:
        return torch.randn(count, 3, generator=self.generator)


def _unit(normals: np.ndarray | None) -> Tensor | None:
    return None if normals is None else torch.nn.functional.normalize(torch.from_numpy(normals), dim=1)
