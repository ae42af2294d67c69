"""Nearest points of a cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from ..machine import available_cores
from ..nearest import tree_of

CHUNK = 1 << 16  # points asked at once


def neighbours(points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance (N, count) float32 and number (N, count) int32 of each point's nearest others."""
    distance = np.empty((len(points), count), np.float32)
    index = np.empty((len(points), count), np.int32)
    for part, (near, which) in in_chunks(tree_of(points), points, count + 1):
        distance[part], index[part] = near[:, 1:], which[:, 1:]
    return distance, index


def in_chunks(tree: KDTree, asked: np.ndarray, count: int) -> Iterator[tuple[slice, tuple[np.ndarray, np.ndarray]]]:
    """The `count` nearest points of the tree to those asked for, itself among them, part by part: distance, number."""
    for start in range(0, len(asked), CHUNK):
        part = slice(start, start + CHUNK)
        ranks: Any = range(1, count + 1)
        found: Any = tree.query(asked[part], k=ranks, workers=available_cores())
        yield part, found
