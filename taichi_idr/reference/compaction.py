"""Twin of ops/compaction.py and kernels/compaction.py."""

from __future__ import annotations

from torch import Tensor


def active_indices(flags: Tensor) -> Tensor:
    """Indices (M,) int32 of the non-zero flags (N,), rising."""
    return flags.nonzero()[:, 0].int()


def points_along(origins: Tensor, directions: Tensor, depth: Tensor, indices: Tensor) -> Tensor:
    """Points (M, 3): that of m lies on ray i // K at depth[i // K, i % K], where i = indices[m], depth (R, K)."""
    row = indices // depth.shape[1]
    return origins[row] + depth.view(-1)[indices, None] * directions[row]
