"""Meshes of other programs without what is not of the object (EVAL-9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import binary_dilation

from ..cameras.pinhole import projections
from ..types import Cameras
from .shown import ShownMesh

GROWN = 12  # pixels, at the width of the benchmark's photos: masks of those who compare on it
WIDTH = 1600
FEWEST = 3  # photos that have to show a face, or all: what one sees behind the object is not of it


def within_masks(shown: ShownMesh, cameras: Cameras, masks: Sequence[np.ndarray]) -> ShownMesh:
    """What is left where no silhouette, grown by about 12 pixels in 1,600, lacks it: faces whose corners all lie in
    every one of the pictures that they fall into, and these are not too few.

    Mesh and cameras in one frame; masks: V of (H, W) bool.
    """
    inside, seen = np.ones(len(shown.mesh.vertices), bool), np.zeros(len(shown.mesh.vertices), int)
    for P, mask in zip(projections(cameras).numpy(), masks, strict=True):
        grown = binary_dilation(mask, iterations=max(round(GROWN * mask.shape[1] / WIDTH), 1))
        places = shown.mesh.vertices @ P[:, :3].T + P[:, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            column, row = np.round(places[:, :2] / places[:, 2:]).T
        height, width = mask.shape
        here = (places[:, 2] > 0) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
        inside[here] &= grown[row[here].astype(int), column[here].astype(int)]
        seen += here
    kept = (inside & (seen >= min(FEWEST, len(masks))))[shown.mesh.faces].all(axis=1)
    mesh = replace(shown.mesh, faces=shown.mesh.faces[kept])
    return replace(shown, mesh=mesh, picture=shown.picture[kept], places=shown.places[kept])
