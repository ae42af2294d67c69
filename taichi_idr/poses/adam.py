"""The optimiser that moves the poses of a batch (CAM-5)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..state import alike


class SparseAdam:
    """Adam on the rows of the views in a batch: other rows and their moments stay (CAM-5).

    The bias correction counts all steps, as torch.optim.SparseAdam does.
    """

    BETAS, EPSILON = (0.9, 0.999), 1e-8

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self.parameters = dict(parameters)
        self.moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self.parameters.items()}
        self.count = 0

    @torch.no_grad()
    def step(self, views: Tensor, rates: Mapping[str, float]) -> None:
        """Move rows `views` (B,), without repetition, of each parameter at its rate."""
        self.count += 1
        corrections = [1 - beta**self.count for beta in self.BETAS]
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            gradient, (first, second) = parameter.grad[views], self.moments[name]
            first[views] += (1 - self.BETAS[0]) * (gradient - first[views])
            second[views] += (1 - self.BETAS[1]) * (gradient**2 - second[views])
            scale = (second[views] / corrections[1]).sqrt() + self.EPSILON
            parameter[views] -= rates[name] / corrections[0] * first[views] / scale

    def state(self) -> dict[str, Tensor]:
        tensors = {"count": torch.tensor(self.count)}
        for name, moments in self.moments.items():
            tensors[f"{name}.first"], tensors[f"{name}.second"] = moments
        return tensors

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        self.count = int(tensors["count"])
        for name, (first, second) in self.moments.items():
            first.copy_(alike(tensors[f"{name}.first"], first))
            second.copy_(alike(tensors[f"{name}.second"], second))
