"""A hash encoding with its table, for networks that need no Jacobian of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import runtime
from ..config import HashTableConfig
from ..ops.hash_encoding import FEATURES, HashLayout, hash_encoding


class HashTable(nn.Module):
    """Features (N, 2 L) of points, from a table whose gradient over a step `gradient` collects."""

    def __init__(self, config: HashTableConfig, device: torch.device, generator: torch.Generator) -> None:
        super().__init__()
        self.layout = HashLayout.build(config.levels, config.coarsest, config.finest, config.log2_rows, device)
        table = (torch.rand(self.layout.rows, FEATURES, generator=generator) * 2 - 1) * config.scale
        self.table = nn.Parameter(table.to(device, runtime.current().dtype))
        self.gradient = torch.zeros_like(self.table)

    @property
    def width(self) -> int:
        return FEATURES * len(self.layout)

    def forward(self, points: Tensor) -> Tensor:
        return hash_encoding(points, self.table, self.layout, len(self.layout), table_gradient=self.gradient)
