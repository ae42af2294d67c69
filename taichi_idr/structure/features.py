"""Places of photos that can be found again in others, by OpenCV: SIFT (Lowe, IJCV 2004), as RootSIFT (Arandjelovic and
Zisserman, CVPR 2012), matched where each of two is the other's nearest by far."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from PIL import Image

from ..capture.images import decode_all, on_white, opened
from ..errors import Unavailable

LONGER_SIDE, MOST = 1600, 4000  # of the photos they are looked for in, pixels; of one photo
TILES = 12  # along the longer side: strong places of one part leave room for faint ones of another
CONTRAST = 0.02  # least, of a place: at the usual .04 smooth parts have few, below noise has more
RATIO = 0.85  # of the distances to the nearest and to the next one


@dataclass(frozen=True)
class Features:
    """places (N, 2): column and row, integers at pixels' centres of the photo in full; descriptors (N, 128) float32, of
    unit length."""

    places: np.ndarray
    descriptors: np.ndarray

    def __len__(self) -> int:
        return len(self.places)


def opencv(needed_by: str = "photos without cameras or masks") -> ModuleType:
    """Raises Unavailable where it is not installed."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what FFmpeg says of damaged videos is no line of ours
    try:
        import cv2
    except ImportError as error:
        todo = "pip install 'taichi-idr[photos]'"
        raise Unavailable("OpenCV is not installed", why=f"{needed_by} need it", todo=todo) from error
    return cv2


def find_features(files: Sequence[Path]) -> list[Features]:
    """Of photos. Raises Unavailable, and BadInput, naming a file that cannot be decoded."""
    opencv()
    return decode_all(_features, files)


def matched(one: Features, other: Features) -> np.ndarray:
    """(M, 2) numbers of features that are alike."""
    if min(len(one), len(other)) < 2:
        return np.zeros((0, 2), int)
    ours, theirs = torch.from_numpy(one.descriptors), torch.from_numpy(other.descriptors)
    near, which = (ours @ theirs.T).topk(2, dim=1)
    first, second = ((2 - 2 * near[:, k]).clamp(min=0).sqrt() for k in (0, 1))
    rows = (first < RATIO * second).nonzero()[:, 0]
    columns = which[rows, 0]
    mutual = (theirs[columns] @ ours.T).argmax(dim=1) == rows
    return torch.stack([rows[mutual], columns[mutual]], dim=1).numpy()


def _features(path: Path) -> Features:
    cv2 = opencv()
    with opened(path) as image:
        colour, _ = on_white(image)
    factor = max(1.0, max(colour.size) / LONGER_SIDE)
    size = round(colour.width / factor), round(colour.height / factor)
    small = colour.resize(size, Image.Resampling.BOX) if factor > 1 else colour
    grey, sift = np.asarray(small.convert("L")), cv2.SIFT_create(contrastThreshold=CONTRAST)
    found = sift.detect(grey, None)
    places, strength = np.array([place.pt for place in found]).reshape(-1, 2), np.array([p.response for p in found])
    found, descriptors = sift.compute(grey, [found[k] for k in _spread(places, strength, max(size) / TILES)])
    if descriptors is None:
        return Features(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
    places = np.array([place.pt for place in found], float)
    places = (places + 0.5) * (colour.width / size[0], colour.height / size[1]) - 0.5
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return Features(places, root)


def _spread(places: np.ndarray, strength: np.ndarray, tile: float) -> np.ndarray:
    """Which (M,) of places (N, 2) are taken: of all tiles alike the strongest ones, then the next, at most MOST."""
    corner = (places // tile).astype(int)
    order = np.lexsort((-strength, corner[:, 1], corner[:, 0]))
    _, first, which = np.unique(corner[order], axis=0, return_index=True, return_inverse=True)
    rank = np.arange(len(order)) - first[which.ravel()]
    return np.sort(order[np.argsort(rank, kind="stable")[:MOST]])
