"""The normalised frame that a capture gives: whether the object is in it, and what is to be done where it is not."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import binary_dilation

from ..cameras.pinhole import transform_cameras
from ..errors import BadInput
from ..types import Cameras
from .hulls import COARSE, ObjectRays, Silhouettes, enlarged, looked_at, object_rays

WIDER, MOST, FEW = 2.0, 0.75, 3
"""An object outside the unit sphere is looked for in a box of this half width, where at least this share of the views
show it, if there are as many views: fewer silhouettes bound no object."""
MISSING, MISSING_VIEWS = 0.005, 0.25
"""Share of object pixels whose rays may miss the unit sphere, in more than the second share of the views (one wrong
mask is no fault of the frame)."""
OUTSIDE = 0.005
"""Share of the hull outside the unit sphere, likewise: sound captures of 3 to 49 views have less than 0.0005."""
LOST = 0.25
"""Share of the object's pixels that may be lost with what is outside the sphere: DTU scan 24 loses 0.003."""
WIDTH = 160  # pixels across a photo at which it is found out which of them look past the object in the sphere
FINE, CLOSE = 96, 2  # lattice points along each axis of the hull that they look past; cells that are close to it
SAME_PLACE, ROUNDING = 1e-3, 1e-9
"""Extent of the camera centres below which no depth can be seen: in distances to the object, in distances to the
world's origin."""
ROUNDED, ROUNDED_WARNED = 1e-3, 1e-4
"""Of the distance between cameras, to which poses may be rounded: a degree is 0.02 of it."""
_ANEW = "--normalize finds the object from the masks"


def check_frame(views: Silhouettes, cameras: Cameras) -> tuple[list[str], list[np.ndarray]]:
    """Warnings about the frame that came with a capture, and pixels (V of (H, W) bool, or none) that show what of the
    object is outside the unit sphere: no loss can explain them.

    cameras: camera -> normalised. Raises BadInput: cameras look away from the object, or too much of it is outside.
    """
    refuse_one_place(cameras, np.zeros(3))
    masks, rays = views.masks, object_rays(views.masks, cameras)
    _refuse_away(rays)
    if not (_rays_miss(rays) or _hull_outside(views, cameras) > OUTSIDE):
        return [], []
    beyond = _looking_past(views, cameras)
    lost = sum(int(part.sum()) for part in beyond) / max(sum(int(mask.sum()) for mask in masks), 1)
    text = f"{100 * lost:.1f} % of the object's pixels look past what of it is in the unit sphere"
    if lost > LOST:
        raise BadInput("object outside the unit sphere", where="scale_mat_0", why=text, todo=_ANEW)
    if lost == 0:
        return [f"the object reaches out of the unit sphere of scale_mat_0 and is cut off there; {_ANEW}"], []
    return [f"{text} of scale_mat_0, and are ignored: it is cut off there; {_ANEW}"], beyond


def refuse_one_place(cameras: Cameras, centre: np.ndarray | None) -> None:
    """Raises BadInput where all cameras are in one place, compared with their distance from the object's centre."""
    centres = cameras.centres.numpy()
    extent = np.linalg.norm(centres - centres.mean(axis=0), axis=1).max()
    least = ROUNDING * abs(centres).max()
    if centre is not None:
        least = max(least, SAME_PLACE * np.median(np.linalg.norm(centres - centre, axis=1)))
    if extent <= least:
        why = "all cameras are in one place, so that no depth can be seen"
        raise BadInput("degenerate cameras", where=f"{len(cameras)} views", why=why, todo="move between the photos")


def check_rounding(cameras: Cameras, *, single: bool) -> list[str]:
    """Warnings about poses (world frame) that are rounded. Raises BadInput where nothing is left of them.

    single: whether they were written in single precision.
    """
    centres = cameras.centres.numpy()
    step = (np.finfo(np.float32) if single else np.finfo(np.float64)).eps * abs(centres).max()
    apart = float(np.median(np.linalg.norm(centres - centres.mean(axis=0), axis=1)))
    if step < ROUNDED_WARNED * apart or apart < ROUNDING * abs(centres).max():  # in one place: another fault
        return []
    kind = "single" if single else "double"
    text = f"{kind} precision rounds poses to {step:.2g} units, {abs(centres).max():.2g} from the origin"
    todo = "write them in double precision" if single else "subtract an offset"
    if step > ROUNDED * apart:
        raise BadInput("rounded cameras", where=f"{len(centres)} views {apart:.2g} apart", why=text, todo=todo)
    return [f"{text}: {todo}"]


def lattice_points(occupied: np.ndarray) -> np.ndarray:
    """Points (N, 3) of the lattice over [-1, 1]^3 that are occupied."""
    return np.argwhere(occupied) * (2 / (len(occupied) - 1)) - 1


def _refuse_away(rays: ObjectRays) -> None:
    away = (rays.origins * rays.directions).sum(axis=1) >= 0
    if away.mean() > 0.5:
        why = f"{100 * away.mean():.0f} % of the object's rays point away from it"
        todo = "check the axes (x right, y down, z forward) and that matrices map world to camera, or use --normalize"
        raise BadInput("cameras look away from the object", where="world_mat, scale_mat", why=why, todo=todo)


def _rays_miss(rays: ObjectRays) -> bool:
    """Whether in many views object pixels look past the unit sphere."""
    middle = -(rays.origins * rays.directions).sum(axis=1)
    missing = np.linalg.norm(rays.origins + middle[:, None] * rays.directions, axis=1) > 1
    views, counts = np.unique(rays.view, return_counts=True)
    return bool(np.quantile(np.bincount(rays.view, missing)[views] / counts, 1 - MISSING_VIEWS) > MISSING)


def _hull_outside(views: Silhouettes, cameras: Cameras) -> float:
    """Share of the hull outside the unit sphere: rays may meet the sphere that do not meet the object in it."""
    if len(views) < FEW:
        return 0.0
    hull = views.hull(_in_box(cameras), COARSE, min_fraction=0.0, min_inside=MOST).cpu().numpy()
    if not hull.any():
        return 0.0
    points, cell = WIDER * lattice_points(hull), 2 * WIDER / (COARSE - 1)
    return float((np.linalg.norm(points, axis=1) > 1 + cell).mean())


def _looking_past(views: Silhouettes, cameras: Cameras) -> list[np.ndarray]:
    """Object pixels (H, W) of each view whose rays do not meet the hull in the unit sphere.

    Those that pass close by are among them where the hull beyond the sphere explains them: a fit would fill the place
    for them, which other photos show to be air. Others stay: a lattice misses thin parts.
    """
    inside, in_box = views.hull(cameras, FINE), _in_box(cameras)
    around = torch.from_numpy(binary_dilation(inside.cpu().numpy(), iterations=CLOSE))
    beyond = _beyond_sphere(views.hull(in_box, COARSE).cpu().numpy())
    found = []
    for view, mask in enumerate(views.masks):
        step = max(1, -(-max(mask.shape) // WIDTH))
        row, column = (np.minimum(np.arange(0, side, step) + step // 2, side - 1) for side in mask.shape)
        places, past = np.stack(np.meshgrid(column, row), axis=-1), _any_of_squares(mask, step)
        here, wide = cameras[[view]], in_box[[view]]
        past[past] = ~looked_at(inside, here, places[past][None], radius=1 - 1 / (FINE - 1))[0]
        some = places[past][None]
        past[past] = looked_at(beyond, wide, some)[0] | ~looked_at(around, here, some, radius=1.0)[0]
        found.append(mask & enlarged(past, step, mask.shape))
    return found


def _any_of_squares(mask: np.ndarray, side: int) -> np.ndarray:
    """Of squares of so many pixels, those with an object pixel."""
    for axis in range(2):
        mask = np.logical_or.reduceat(mask, np.arange(0, mask.shape[axis], side), axis=axis)
    return mask


def _in_box(cameras: Cameras) -> Cameras:
    """Of which [-1, 1]^3 is WIDER than the sphere."""
    return transform_cameras(np.diag([1 / WIDER, 1 / WIDER, 1 / WIDER, 1.0]), cameras)


def _beyond_sphere(hull: np.ndarray) -> torch.Tensor:
    """What of a hull (M, M, M) in the box is not in the unit sphere, and a cell more: a lattice misses thin parts."""
    axis = np.linspace(-WIDER, WIDER, len(hull))
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    return torch.from_numpy(np.logical_and(binary_dilation(hull), distance > 1 - 2 * WIDER / (len(hull) - 1)))
