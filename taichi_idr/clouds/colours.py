"""Colours of a cloud, elsewhere."""

from __future__ import annotations

import numpy as np

from ..nearest import tree_of
from .cloud import Cloud
from .neighbours import in_chunks

BLENDED = 4


def colours_at(cloud: Cloud, places: np.ndarray) -> np.ndarray | None:
    """Colours (V, 3) uint8 at places (V, 3) in the cloud's frame: of the nearest points, nearer ones more; or None."""
    if cloud.colours is None:
        return None
    middle = np.median(cloud.points, axis=0)
    tree = tree_of(cloud.points - middle)
    colours = np.empty((len(places), 3), np.uint8)
    for part, (distance, index) in in_chunks(tree, places - middle, min(BLENDED, len(cloud))):
        weight = 1 / np.maximum(distance, 1e-3 * distance.max(initial=0) + np.finfo(np.float32).tiny)
        blended = np.einsum("nk,nkc->nc", weight, cloud.colours[index]) / weight.sum(axis=1, keepdims=True)
        colours[part] = np.rint(blended)
    return colours
