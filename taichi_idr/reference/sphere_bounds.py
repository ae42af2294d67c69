"""Twin of ops/sphere_bounds.py, in the words of TRACE-1."""

from __future__ import annotations

from torch import Tensor


def sphere_bounds(origins: Tensor, directions: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """t = -v.c -+ sqrt((v.c)^2 - (|c|^2 - r^2)), clamped to >= 0, and radicand > 0."""
    cosine = (directions * origins).sum(dim=1)
    radicand = cosine**2 - ((origins**2).sum(dim=1) - radius**2)
    half = radicand.clamp(min=0).sqrt()
    return (-cosine - half).clamp(min=0), (-cosine + half).clamp(min=0), radicand > 0
