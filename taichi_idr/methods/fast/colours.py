"""A renderer with a hash table of its own (docs/decisions/0041)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...config import RadianceConfig
from ...fields.hash_table import HashTable
from ...fields.radiance import Radiance
from ...fields.sample import GeometrySample
from ...fields.table_adam import TableAdam
from .settings import ColoursConfig


class TabledRadiance(Radiance):
    """M, given the table's features at the point as well.

    The geometry's table learns fine levels slowly, or the surface would be rough; this one learns textures as fast as
    photos show them. How its features change from place to place moves the surface with the share `pull` alone: at the
    whole one, a texture half learned drags the surface along.
    """

    def __init__(
        self,
        config: RadianceConfig,
        colours: ColoursConfig,
        geometry_width: int,
        device: torch.device,
        generator: torch.Generator,
    ) -> None:
        """geometry_width: as Radiance has it, without the table."""
        colour_table = HashTable(colours, device, generator)
        super().__init__(config, geometry_width + colour_table.width, device, generator)
        self.colours, self.colour_table = colours, colour_table

    def forward(self, points: Tensor, directions: Tensor, geometry: GeometrySample) -> Tensor:
        own = self.colour_table(torch.lerp(points.detach(), points, self.colours.pull))
        known = replace(geometry, encoding=torch.cat([geometry.encoding, own], dim=1))
        return super().forward(points, directions, known)

    def adam(self) -> TableAdam:
        """What moves the table."""
        table, colours = self.colour_table, self.colours
        return TableAdam(table.table, table.gradient, table.layout, colours.rate, colours.fine_rate)
