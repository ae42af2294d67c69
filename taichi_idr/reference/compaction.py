"""Twin of ops/compaction.py."""

from __future__ import annotations

from torch import Tensor


def active_indices(flags: Tensor) -> Tensor:
    """Indices (M,) int32 of the non-zero flags (N,), rising."""
    return flags.nonzero()[:, 0].int()
