"""The field that preset `dvr` learns."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from ... import runtime
from ...fields.model import Model
from ...tracing.sampled import first_surface
from ...types import Hits, Rays
from .cube import cube_ends
from .network import OccupancyNetwork
from .settings import DvrConfig

CPU_CHUNK = 2048  # points: a wide network's layer still fits the cache


class DvrModel(Model):
    """Occupancy and colour. f = -logit / steepness in the cube, and the distance from that outside.

    steepness: of the logit at its zero level, in the mean over the surface points of the last steps; so f is nearly a
    distance there.
    """

    config: DvrConfig

    def __init__(self, config: DvrConfig, device: torch.device, generator: torch.Generator | None = None) -> None:
        """In the precision of the running backend."""
        super().__init__()
        generator = generator or torch.Generator().manual_seed(config.seed)
        dtype = runtime.current().dtype
        self.config = config
        self.chunk = CPU_CHUNK if device.type == "cpu" else Model.chunk
        self.network = OccupancyNetwork(config.network, device, generator, dtype)
        self.register_buffer("steepness", torch.ones((), device=device, dtype=dtype))

    @property
    def radius(self) -> float:
        return self.config.march.half * 3**0.5

    def surface(self, points: Tensor) -> Tensor:
        return torch.maximum(self.in_cube(points), points.abs().amax(dim=1) - self.config.march.half)

    @torch.no_grad()
    def in_cube(self, points: Tensor) -> Tensor:
        """f (N,) at points (N, 3) as the network has it: what the cube's faces cut is open there."""
        steepness = cast(Tensor, self.steepness)
        return torch.cat([-self.network(part)[0] / steepness for part in points.split(self.chunk)])

    @torch.no_grad()
    def gradient(self, points: Tensor) -> Tensor:
        return torch.cat([self.occupied(part)[1].detach() for part in points.split(self.chunk)])

    @torch.no_grad()
    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        return torch.cat([self.network(part)[1] for part in points.split(self.chunk)])

    def trace(self, rays: Rays, *, preview: bool = False) -> Hits:
        samples = self.config.march.samples[-1]
        return self.first_surface(rays, samples // 2 if preview else samples)

    def first_surface(self, rays: Rays, samples: int) -> Hits:
        """Of so many samples along rays (R,) through the cube (DVR-3)."""
        march = self.config.march
        ends = cube_ends(rays, march.half)
        return first_surface(rays, ends, self.in_cube, samples=samples, secant_iterations=march.secant_iterations)

    def occupied(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """f (N,) = -logit / steepness at points (N, 3), which are constants, and grad f (N, 3), attached to the
        network."""
        with torch.enable_grad():
            place = points.detach().requires_grad_()
            value = -self.network(place)[0] / cast(Tensor, self.steepness)
            (gradient,) = torch.autograd.grad(value.sum(), place, create_graph=True)
        return value, gradient
