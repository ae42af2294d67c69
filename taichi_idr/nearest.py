"""The one place where trees of points are built."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree


def tree_of(points: np.ndarray) -> KDTree:
    """Split at midpoints: where the processor flushes subnormal numbers, as it does once Taichi runs, the balanced tree
    may never end, or crash, on points whose median is zero or that repeat (it asks for the next number above)."""
    return KDTree(points, balanced_tree=False)
