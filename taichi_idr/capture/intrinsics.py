"""Whether intrinsics can belong to photos: a wrong decomposition or photos of another size show here first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..types import Cameras

ASPECT, SKEW = 2.0, 0.1
"""Largest ratio of the focal lengths, largest skew in focal lengths, above which a warning is due."""
SAME_FOCAL = 0.01
SHORTEST = 0.05
"""Focal length, in photo sides, below which it is none: a photo of 168 degrees has it."""
OFF_CENTRE, OFF_PHOTO = 0.25, 2.0
"""Distance of the principal point from the photo's centre, in its sides: warned of, refused."""


def check_intrinsics(names: Sequence[str], cameras: Cameras, shapes: Sequence[tuple[int, ...]]) -> list[str]:
    """Warnings about odd K; `shapes`: rows and columns of each photo. Raises BadInput where K fits no such photo."""
    _refuse_other_sizes(names, cameras, shapes)
    oddities: dict[str, list[str]] = {}
    for name, K, shape in zip(names, cameras.intrinsics, shapes, strict=True):
        focal = float(torch.minimum(K[0, 0].abs(), K[1, 1].abs()))
        if focal < SHORTEST * max(shape[:2]):
            why = f"its focal length is {focal:.3g} pixels: K is missing, or not in pixels of this photo"
            todo = "matrices are K [R | t], with K in pixels"
            raise BadInput("camera does not fit its photo", where=f"view {name}", why=why, todo=todo)
        off = _off_centre(K, shape)
        if off > OFF_PHOTO:
            why = f"its principal point is {off:.1f} photo sides from the photo's centre"
            todo = "check that photos and matrices are of the same size"
            raise BadInput("camera does not fit its photo", where=f"view {name}", why=why, todo=todo)
        for text in _oddities(K, off):
            oddities.setdefault(text, []).append(name)
    return [f"{text} (view {views[0]}{_others(views)})" for text, views in oddities.items()]


def _refuse_other_sizes(names: Sequence[str], cameras: Cameras, shapes: Sequence[tuple[int, ...]]) -> None:
    """Raises BadInput where a photo has the intrinsics of others, and their shape, but not their size."""
    K = cameras.intrinsics.numpy()
    sizes = np.array([shape[:2] for shape in shapes], float)
    usual = np.median(sizes, axis=0)
    ratios = sizes / usual
    shrunk = (abs(ratios[:, 0] / ratios[:, 1] - 1) < 0.02) & (abs(ratios[:, 0] - 1) > 0.05)
    focal, others = K[:, 0, 0], K[~shrunk, 0, 0]
    alike = shrunk & (abs(focal / np.median(others) - 1) < SAME_FOCAL) if len(others) else np.zeros(len(K), bool)
    if alike.any() and alike.mean() < 0.5:
        first = int(np.flatnonzero(alike)[0])
        size, usually = (f"{int(columns)}x{int(rows)}" for rows, columns in (sizes[first], usual))
        more = f" and {alike.sum() - 1} more" if alike.sum() > 1 else ""
        why = f"{size} pixels, others with its intrinsics have {usually}"
        todo = "use the photo that its camera is of, or correct its matrix"
        raise BadInput("photo of another size", where=f"view {names[first]}{more}", why=why, todo=todo)


def _off_centre(K: Tensor, shape: tuple[int, ...]) -> float:
    rows, columns = shape[:2]
    return max(abs(float(K[0, 2]) - (columns - 1) / 2) / columns, abs(float(K[1, 2]) - (rows - 1) / 2) / rows)


def _oddities(K: Tensor, off: float) -> list[str]:
    found = []
    if not 1 / ASPECT < float(K[0, 0] / K[1, 1]) < ASPECT:
        found.append("focal lengths in x and y differ by more than a factor of two")
    if abs(float(K[0, 1] / K[0, 0])) > SKEW:
        found.append("large skew")
    if off > OFF_CENTRE:
        found.append("principal point far from the photo's centre: do photos and matrices have the same size?")
    return found


def _others(views: Sequence[str]) -> str:
    return f" and {len(views) - 1} more" if len(views) > 1 else ""
