"""Trains a colour network on the pixels that show the mesh (TEX-1, LIGHT-1)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..capture.exposure import LIFT, gains_of
from ..fields.hash_table import HashTable
from ..fields.table_adam import BETAS, TableAdam
from ..tracing.triangles import Surface
from .networks import ColourNetwork, Sight
from .seen import Samples
from .settings import PaintScheduleConfig


class Painter:
    """One batch of random pixels a step, absolute error of their colours.

    centres (V, 3) of the cameras; lights (V,) int64, the lighting condition of each photo; stops (V, 3), exposures of
    the photos in EV where they are known: colours are those of the usual photo then.
    """

    def __init__(
        self,
        network: ColourNetwork,
        surface: Surface,
        samples: Samples,
        config: PaintScheduleConfig,
        *,
        centres: Tensor,
        lights: Tensor,
        stops: np.ndarray | None = None,
        generator: torch.Generator,
    ) -> None:
        self.network, self.surface, self.samples = network, surface, samples
        self.config, self.generator = config, generator
        self.centres = centres.to(samples.points)
        self.lights = lights.to(samples.points.device)
        self.gains = None if stops is None else gains_of(torch.from_numpy(stops).to(samples.points))
        tables = [part for part in network.modules() if isinstance(part, HashTable)]
        self.tables = [TableAdam(x.table, x.gradient, x.layout, config.table_rate, config.fine_rate) for x in tables]
        owned = {id(table.table) for table in tables}
        others = [parameter for parameter in network.parameters() if id(parameter) not in owned]
        self.adam = torch.optim.Adam(others, lr=self.config.rate, betas=BETAS, fused=True)

    def steps(self) -> Iterator[float]:
        """Take all steps; yields the mean error of each, colours in [0, 1]."""
        for number in range(self.config.steps):
            loss = self.loss(self._drawn())
            self.adam.zero_grad()
            loss.backward()
            factor = rate_factor(self.config, number / self.config.steps)
            for group in self.adam.param_groups:
                group["lr"] = self.config.rate * factor
            self.adam.step()
            for table in self.tables:
                table.step(factor, number + 1)
            yield float(loss.detach())

    def loss(self, index: Tensor) -> Tensor:
        """Mean absolute error at samples (N,)."""
        view = self.samples.view[index].long()
        predicted = self.network(self.sight(index))
        if self.gains is not None:
            predicted = (predicted + LIFT) * self.gains[view] - LIFT
        return (predicted - self.samples.colours[index].to(predicted) / 255).abs().mean()

    def sight(self, index: Tensor) -> Sight:
        """How the photos see samples (N,)."""
        points, view = self.samples.points[index], self.samples.view[index].long()
        directions = normalize(points - self.centres[view], dim=1)
        normals = self.surface.smooth_normals(points, self.samples.face[index].long(), directions)
        return Sight(points, directions, normals, self.lights[view])

    def _drawn(self) -> Tensor:
        draw = torch.randint(len(self.samples), (self.config.pixels,), generator=self.generator)
        return draw.to(self.samples.view.device)


def rate_factor(schedule: PaintScheduleConfig, progress: float) -> float:
    """From 1 down to `floor`, by a cosine."""
    return schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * progress))
