"""What a network learns of solids (OCC-3): points uniform in the padded cube and near the surface, inside or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...measures.surfaces import sample_surface
from ...meshes.solid import Solid
from .settings import SolidSamplesConfig


@dataclass(frozen=True)
class Pool:
    """Of S shapes, each in its own frame: points (S, P, 3) float32, inside (S, P) bool, surface (S, Q, 3) float32."""

    points: Tensor
    inside: Tensor
    surface: Tensor

    def drawn(self, shapes: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points (B, count, 3) of these shapes (B,), and whether they are inside, (B, count), 0 or 1."""
        index = torch.randint(self.points.shape[1], (len(shapes), count), generator=generator)
        return self.points[shapes[:, None], index], self.inside[shapes[:, None], index].float()


def make_pool(solids: list[Solid], config: SolidSamplesConfig, surface: int, generator: torch.Generator) -> Pool:
    """Points of which the kernels say whether they are inside; surface: that many on the surface itself."""
    rows = [_of_solid(solid, config, surface, generator) for solid in solids]
    return Pool(*(torch.stack(part) for part in zip(*rows, strict=True)))


def uniform_points(config: SolidSamplesConfig, count: int, generator: torch.Generator) -> Tensor:
    """(count, 3) in the padded cube."""
    return (1 + config.padding) * (torch.rand(count, 3, generator=generator) - 0.5)


def _of_solid(
    solid: Solid, config: SolidSamplesConfig, surface: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    near = round(config.near_share * config.pool)
    numbers = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    on = torch.from_numpy(sample_surface(solid.mesh, near + surface, numbers)[0]).float()
    deviations = torch.tensor(config.near)[torch.arange(near) % len(config.near), None]
    beside = on[:near] + deviations * torch.randn(near, 3, generator=generator)
    half = (1 + config.padding) / 2
    points = torch.cat([uniform_points(config, config.pool - near, generator), beside.clamp(-half, half)])
    inside = solid.contains(points.to(solid.tree.boxes), generator).cpu()
    return points, inside, on[near:]
