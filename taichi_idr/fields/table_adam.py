"""Adam for the table of a hash encoding, row by row (kernels/sparse_adam.py)."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import runtime
from ..kernels.sparse_adam import sparse_adam
from ..ops.hash_encoding import HashLayout, level_shares

BETAS = (0.9, 0.99)
EPSILON = 1e-12


class TableAdam:
    """Moves the rows that a step touched, those of finer levels more slowly: these learn what many points say and not
    the noise of each.

    table, gradient (R, 2): moved, and zeroed, by `step`. rate: of the coarsest level; fine_rate: power of a level's
    cell, over the coarsest one's, that scales it. moments: two of the table's shape.
    """

    def __init__(self, table: Tensor, gradient: Tensor, layout: HashLayout, rate: float, fine_rate: float) -> None:
        self.table, self.gradient, self.rate = table, gradient, rate
        self.moments = [torch.zeros_like(table), torch.zeros_like(table)]
        self.shares = level_shares(layout, fine_rate).to(table.dtype)

    def step(self, factor: float, count: int) -> None:
        """The step of this number, from 1, at `factor` times the rate."""
        corrections = (1 - BETAS[0] ** count, 1 - BETAS[1] ** count)
        arguments = (self.shares, self.gradient, *self.moments, self.table)
        runtime.launch(sparse_adam, factor * self.rate, *BETAS, *corrections, EPSILON, *arguments)
