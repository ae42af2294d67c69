"""The point that cameras look at."""

from __future__ import annotations

import numpy as np


def nearest_point(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The point (3,) with the least sum of distances to lines: origins (V, 3), unit directions (V, 3).

    By reweighted least squares, so that a line which misses the others counts little.
    """
    across = np.eye(3) - directions[:, :, None] * directions[:, None]
    weights, point = np.ones(len(origins)), np.zeros(3)
    for _ in range(30):
        system = (weights[:, None, None] * across).sum(axis=0)
        target = (weights[:, None] * np.einsum("vij,vj->vi", across, origins)).sum(axis=0)
        point = np.linalg.lstsq(system, target, rcond=None)[0]
        away = np.linalg.norm(np.einsum("vij,vj->vi", across, point - origins), axis=1)
        weights = 1 / np.maximum(away, 1e-6 * np.linalg.norm(point - origins, axis=1) + 1e-300)
    return point
