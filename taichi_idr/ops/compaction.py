"""Bridge to the list of active rays (kernels/compaction.py)."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import runtime
from ..kernels import compaction as kernels

FEW = 8192  # flags: a launch costs more than torch's two passes over them


def active_indices(flags: Tensor) -> Tensor:
    """Indices (M,) int32 of the non-zero flags (N,) int32, rising: the same on every run and every backend.

    One thread lists them on the CPU. On CUDA one thread would be slow, and torch's `nonzero` keeps the order too.
    """
    if flags.ndim != 1 or flags.dtype != torch.int32:
        raise ValueError(f"active_indices: expected flags (N,) int32, got {tuple(flags.shape)} {flags.dtype}")
    if flags.device.type == "cuda" or len(flags) <= FEW:
        return flags.nonzero()[:, 0].int()
    indices = torch.empty_like(flags)
    count = torch.zeros(1, dtype=torch.int32)
    runtime.launch(kernels.list_active, flags, indices, count)
    return indices[: int(count)]
