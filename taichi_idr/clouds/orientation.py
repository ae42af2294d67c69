"""Normals that point outwards, and what is inside of them.

First signs come from where points are seen; what is seen from neither side gets the sign that the others' indicator
has there, over and over (the iteration of Hou et al., "Iterative Poisson surface reconstruction", 2022, with signs
alone). Points that are seen clearly keep theirs: a thin wall would fall together on a lattice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .indicator import indicator, rise_along, value_at
from .normals import Planes
from .visibility import openness

CLEAR = 0.1  # openness from which a sign stays
FAINT = 0.03  # openness from which a point counts fully in the first round
ROUNDS = 5
SETTLED = 1e-3  # share of signs that change in the last round
COARSEST, STEP = 64, 32  # of the lattice


@dataclass(frozen=True)
class Oriented:
    """normals (N, 3) float32, outwards. inside (R, R, R) bool at -1 + 2 (i, j, k) / R. settled: whether signs do not
    change any more."""

    normals: np.ndarray
    inside: np.ndarray
    settled: bool


def lattice_for(spacing: np.ndarray, most: int) -> int:
    """Points along each axis of a lattice that is as fine as points with that spacing (N,), at most `most`."""
    wanted = 2 / max(float(np.median(spacing)), 1e-6)
    return int(np.clip(STEP * np.ceil(wanted / STEP), min(COARSEST, most), most))


def oriented(points: np.ndarray, planes: Planes, given: np.ndarray | None, resolution: int) -> Oriented:
    """Normals with signs, of points (N, 3) in the ball of radius 0.9; given (N, 3) are taken where they have a length.

    resolution: of the lattice, even.
    """
    weight = planes.spacing**2
    if given is None:
        seen = openness(points, planes.normals, planes.spacing, float(np.median(planes.noise)))
        normals = planes.normals * np.where(seen < 0, -1, 1)[:, None].astype(np.float32)
        free, first = np.abs(seen) < CLEAR, weight * np.clip(np.abs(seen) / FAINT, 0.02, 1)
    else:
        lengths = np.linalg.norm(given, axis=1)
        free = ~(lengths > 0)
        normals = np.where(free[:, None], planes.normals, given / np.where(free, 1, lengths)[:, None])
        first = weight * np.where(free, 0.02, 1)
    field = indicator(points, normals, first, planes.spacing, resolution)
    step = np.full(len(points), 2 / resolution)
    turned = np.zeros(len(points), bool)
    for _ in range(ROUNDS):
        turned = free & (rise_along(field, points, normals, step) < 0)
        normals[turned] *= -1
        field = indicator(points, normals, weight, planes.spacing, resolution)
        if turned.mean() < SETTLED:
            break
    inside = field < np.median(value_at(field, points))
    return Oriented(normals, inside, bool(turned.mean() < SETTLED))
