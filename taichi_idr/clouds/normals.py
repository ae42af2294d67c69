"""Normals without a sign: the direction in which a point's neighbours spread least (Hoppe et al., 1992)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..nearest import tree_of
from .neighbours import in_chunks

COUNTS = (16, 32, 64)  # neighbours, of which each point takes the count that is flattest


@dataclass(frozen=True)
class Planes:
    """Of N points: normals (N, 3) unit, with either sign; spacing (N,) between points, as if they lay in squares;
    noise (N,): deviation of the neighbours from their plane. In the points' unit, float32."""

    normals: np.ndarray
    spacing: np.ndarray
    noise: np.ndarray


def local_planes(points: np.ndarray, counts: tuple[int, ...] = COUNTS) -> Planes:
    """The plane of each of points (N, 3).

    Few neighbours lie in a plane only if there is little noise, many only if the surface is flat and has no other side
    near: each point takes the count where they are flattest for their extent.
    """
    counts = tuple(count for count in counts if count <= len(points) // 4) or (max(len(points) // 3, 4),)
    normals = np.zeros((len(points), 3), np.float32)
    spacing, noise = (np.zeros(len(points), np.float32) for _ in range(2))
    for part, (distance, index) in in_chunks(tree_of(points), points, counts[-1]):
        near = (points[index] - points[part, None]).astype(np.float32)
        spacing[part] = np.sqrt(np.pi * distance[:, counts[0] - 1] ** 2 / counts[0])
        flattest = np.full(len(near), np.inf, np.float32)
        for count in counts:
            normal, off, flatness = _plane(near[:, :count])
            better = flatness < flattest
            flattest[better] = flatness[better]
            normals[part][better], noise[part][better] = normal[better], off[better]
    return Planes(normals, spacing, noise)


def _plane(near: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal (N, 3), deviation from the plane (N,) and that over the second extent (N,), of neighbours (N, K, 3)."""
    offset = near - near.mean(axis=1, keepdims=True)
    spread = np.einsum("nki,nkj->nij", offset, offset) / near.shape[1]
    variance, axes = np.linalg.eigh(spread)
    deviation = np.sqrt(np.maximum(variance, 0))
    return axes[:, :, 0], deviation[:, 0], deviation[:, 0] / np.maximum(deviation[:, 1], np.finfo(np.float32).tiny)
