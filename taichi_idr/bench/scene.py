"""Inputs that several cases share, all from one seed."""

from __future__ import annotations

import math
from functools import cached_property, partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from .. import runtime
from ..cameras.rotations import quaternions_from_rotations
from ..config import HashGeometryConfig, ProxyConfig
from ..errors import Unavailable
from ..fields.model import Model
from ..kernels.hash_field import MARGIN
from ..methods.fast import METHOD
from ..methods.fast.model import FastModel
from ..methods.fast.settings import FastConfig
from ..ops.hash_encoding import HashLayout
from ..reference.analytic_sdf import torus
from ..reference.hash_field import hash_field
from ..runs.loading import load_run
from ..tracing.lattice import ProxyLattice
from ..types import Cameras, Rays, Sdf

MAJOR, MINOR = 0.5, 0.2
DISTANCE = 2.5  # of cameras from the centre, normalised units
TEACHING_STEPS, TEACHING_POINTS, TEACHING_RATE = 100, 4096, 5e-3
TEACHING_LEVELS = 2  # the finer ones stay nearly silent: so few steps would leave them rough


class Scene:
    """A torus: in closed form, as a lattice, and as a field of preset `fast` that was taught it (or a run's field)."""

    torus: Sdf = staticmethod(partial(torus, major=MAJOR, minor=MINOR))

    def __init__(self, seed: int = 0, run: Path | None = None) -> None:
        self.settings = runtime.current()
        self.generator = torch.Generator().manual_seed(seed)
        self.seed, self.run = seed, run

    def normal(self, *shape: int) -> Tensor:
        return self._placed(torch.randn(*shape, generator=self.generator))

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1)."""
        return self._placed(torch.rand(*shape, generator=self.generator))

    def integers(self, below: int, count: int) -> Tensor:
        """(count,) int32."""
        return torch.randint(below, (count,), generator=self.generator, dtype=torch.int32).to(self.settings.device)

    def empty(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.empty(*shape, dtype=dtype or self.settings.dtype, device=self.settings.device)

    def points(self, count: int) -> Tensor:
        """Uniform in [-1, 1]^3."""
        return self.uniform(count, 3) * 2 - 1

    def rays(self, count: int) -> Rays:
        """From all around, towards points scattered around the centre: about two thirds meet the torus."""
        origins = DISTANCE * torch.nn.functional.normalize(self.normal(count, 3), dim=1)
        return Rays(origins, torch.nn.functional.normalize(0.35 * self.normal(count, 3) - origins, dim=1))

    def cameras(self, towards: Tensor, focal: float, size: tuple[int, int]) -> Cameras:
        """At DISTANCE from the centre in these directions (V, 3), looking at it; photos of (height, width)."""
        centres = torch.nn.functional.normalize(towards.cpu().double(), dim=1)
        helper = torch.nn.functional.normalize(self.normal(*towards.shape).cpu().double(), dim=1)
        x = torch.nn.functional.normalize(torch.linalg.cross(helper, centres), dim=1)
        axes = torch.stack([x, torch.linalg.cross(-centres, x), -centres], dim=2)
        height, width = size
        K = torch.tensor([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]], dtype=torch.float64)
        return Cameras(quaternions_from_rotations(axes), DISTANCE * centres, K.repeat(len(centres), 1, 1))

    def camera_rays(self, height: int, width: int) -> Rays:
        """Row by row, of a camera that looks down on the torus at 45 degrees and sees it whole."""
        row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixels = torch.stack([column - (width - 1) / 2, row - (height - 1) / 2], dim=-1).view(-1, 2) / (1.25 * width)
        slant = math.sqrt(0.5)
        axes = torch.tensor([[1.0, 0, 0], [0, slant, -slant], [0, -slant, -slant]])
        directions = torch.cat([pixels, torch.ones(len(pixels), 1)], dim=1) @ axes
        origins = (-DISTANCE * axes[2]).expand_as(directions).contiguous()
        rays = origins, torch.nn.functional.normalize(directions, dim=1)
        return Rays(*map(self._placed, rays))

    @cached_property
    def grid(self) -> tuple[Tensor, HashLayout, int]:
        """Table, layout and levels of preset `fast`."""
        config = HashGeometryConfig()
        sizes = (config.levels, config.coarsest, config.finest, config.log2_rows)
        layout = HashLayout.build(*sizes, self.settings.device)
        return self.normal(layout.rows, 2), layout, config.levels

    @cached_property
    def model(self) -> Model:
        """The run's, else one of preset `fast` after some steps towards the torus."""
        if self.run is not None:
            return load_run(self.run).model
        with runtime.small_batches():
            return self._taught()

    @property
    def fast_model(self) -> FastModel:
        """`model`, where it is of preset `fast`. Raises Unavailable."""
        if self.model.config.preset not in METHOD.presets:
            raise Unavailable("no such field", where="--run", why="the run is not of preset fast", todo="name another")
        return cast(FastModel, self.model)

    @property
    def field_twin(self) -> Sdf:
        """The field of `fast_model` in plain torch."""
        model = self.fast_model
        margin = float(model.frozen().network[-1, MARGIN])
        return lambda points: hash_field(points, model.geometry, model.hull, margin)

    @cached_property
    def lattice(self) -> ProxyLattice:
        """The torus, as preset `fast` samples its field for training."""
        lattice = ProxyLattice(ProxyConfig().resolution, self.settings.device, self.settings.dtype)
        lattice.refresh(self.torus)
        return lattice

    @cached_property
    def field_lattice(self) -> ProxyLattice:
        lattice = ProxyLattice(ProxyConfig().resolution, self.settings.device, self.settings.dtype)
        lattice.refresh(self.model.surface)
        return lattice

    def _taught(self) -> FastModel:
        """From random numbers of its own: the same field whichever case asks for it first."""
        generator = torch.Generator().manual_seed(self.seed)
        model = FastModel(FastConfig(), self.settings.device, generator)
        geometry = model.geometry
        networks = [p for p in geometry.parameters() if p is not geometry.table]
        geometry.table.grad = geometry.table_gradient
        geometry.active_levels = TEACHING_LEVELS
        adam = torch.optim.Adam([{"params": networks}, {"params": [geometry.table]}], lr=TEACHING_RATE)
        for _ in range(TEACHING_STEPS):
            points = self._placed(torch.rand(TEACHING_POINTS, 3, generator=generator) * 2 - 1)
            loss = (geometry.sdf(points) - self.torus(points)).square().mean()
            adam.zero_grad(set_to_none=False)
            loss.backward()
            adam.step()
        geometry.active_levels = len(geometry.layout)
        return model

    def _placed(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.settings.device, self.settings.dtype)
