"""The two networks of FLOW-1: what is inside at time 0, and how everything moves."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...fields.residual import ResidualBlocks
from .adaptive import dormand_prince
from .integration import runge_kutta_4
from .settings import FlowConfig


class OccupancyFlow(nn.Module):
    """Occupancy logit o(p) at time 0 and velocity v(p, t), normalised frame, times in [0, 1]."""

    def __init__(self, config: FlowConfig, device: torch.device, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        fixed = (device, generator, torch.float32)
        self.occupancy = ResidualBlocks(3, 1, config.occupancy.width, config.occupancy.blocks, *fixed)
        self.motion = ResidualBlocks(4, 3, config.velocity.width, config.velocity.blocks, *fixed)
        nn.init.zeros_(self.motion.last.weight)
        nn.init.zeros_(self.motion.last.bias)

    def logit(self, points: Tensor) -> Tensor:
        """(N,) at points (N, 3) at time 0, positive inside."""
        return self.occupancy(points)[:, 0]

    def velocity(self, points: Tensor, times: Tensor) -> Tensor:
        """(N, 3) per unit of time, at points (N, 3) and times (N,)."""
        return self.motion(torch.cat([points, times[:, None]], dim=1))

    def moved(self, points: Tensor, begin: Tensor, end: Tensor, *, fine: bool = False) -> Tensor:
        """Where points (N, 3) of times begin (N,) are at times end (N,); fine: as exactly as results are."""
        how = self.config.integration
        if how.method == "dopri5":
            tolerances = {"rtol": how.rtol, "atol": how.atol}
            return dormand_prince(self.velocity, list(self.motion.parameters()), points, begin, end, **tolerances)
        span = float((end - begin).abs().max()) if len(begin) else 0.0
        steps = max(math.ceil((how.fine_steps if fine else how.steps) * span - 1e-6), 1)
        return runge_kutta_4(self.velocity, points, begin, end, steps)
