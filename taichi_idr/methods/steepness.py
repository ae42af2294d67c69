"""How steep a field is on its surface, of methods that do not learn a distance: over that, it nearly is one."""

from __future__ import annotations

from torch import Tensor

MEMORY = 0.95  # in steps


def follow(steepness: Tensor, slopes: Tensor) -> None:
    """Move `steepness`, without axes, towards the mean |grad f| over the surface points of a step.

    slopes (S,): of f divided by the steepness so far; none where the step has met no surface.
    """
    if len(slopes):
        steepness *= (1 + (1 - MEMORY) * (slopes.mean() - 1)).clamp(min=0.5, max=2)
