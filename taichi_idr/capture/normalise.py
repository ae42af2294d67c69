"""Where the object is: found from silhouettes and cameras alone, or checked against the capture's own frame.

Rule of the released code (section 7): centre = mean of the visual hull's points, scale = 3 x their mean distance.
Unlike there, any view may come first, the votes are a share of the views, and the box grows until it holds the hull.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation

from ..cameras.pinhole import inverse_intrinsics, transform_cameras
from ..cameras.rotations import rotation_matrices
from ..errors import BadInput
from ..ops.visual_hull import visual_hull
from ..types import Cameras

RULES = ((0.0, 45 / 49), (45 / 49, 0.25))
"""Votes a hull point needs: share of the views that see it, share of all views. First the released code's, 45 of 49
views; then one for captures whose photos show only parts of the object."""
COARSE, FINE = 64, 100
RAYS_PER_VIEW = 128
DEPTHS = 160
GROWTH, GROWTHS = 1.6, 8
SLACK = 1.15
"""How much larger than the hull, in every direction, the box is in which it is carved finely."""
CLEARANCE = 1.1
"""Least scale, in distances of the hull's farthest point: a thin object must fit into the unit sphere too."""
WIDER, MOST, FEW = 2.0, 0.75, 3
"""An object outside the unit sphere is looked for in a box of this half width, where at least this share of the views
show it, if there are as many views: fewer silhouettes bound no object."""
MISSING, MISSING_WARNED, MISSING_VIEWS = 0.05, 0.005, 0.25
"""Share of object pixels whose rays may miss the unit sphere: refused above the first, warned of above the second,
where more than the third of the views are above (one wrong mask is no fault of the frame)."""
OUTSIDE, OUTSIDE_WARNED = 0.05, 0.005
"""Share of the hull outside the unit sphere, likewise: sound captures of 3 to 49 views have less than 0.0005."""
MEDIAN_AGREEMENT, VIEW_AGREEMENT = 0.82, 0.7
"""Share of a view's object rays that meet the hull of all views: least median, and below which a view is named.
Measured medians: true cameras 1.00, rough ones (1.5 degrees, 7 mm) 0.97, masks in random order 0.57 to 0.78."""
CONSENSUS = 0.5
"""Share of views that make the hull against which a disagreeing one is found."""
SAME_PLACE = 1e-3
"""Extent of the camera centres, in distances to the object, below which no depth can be seen."""
_CHECK = "check the order of the masks, and that the cameras belong to these photos"


@dataclass(frozen=True)
class ObjectRays:
    """Up to RAYS_PER_VIEW rays through object pixels of each view: `view` (R,), `origins`, `directions` (R, 3)."""

    view: np.ndarray
    origins: np.ndarray
    directions: np.ndarray


def find_object(masks: Sequence[np.ndarray], cameras: Cameras, names: Sequence[str]) -> np.ndarray:
    """T_world_normalised (4, 4): the similarity that puts the object into the unit sphere.

    masks: V arrays (H, W) bool; cameras: V, in the world frame. Raises BadInput: the views see no common object, name
    those that disagree; or the hull has no end.
    """
    _refuse_one_place(cameras)
    rays = object_rays(masks, cameras)
    T, hull = _bounded_hull(masks, cameras, _first_guess(rays), names)
    points = _lattice_points(hull)
    half = SLACK * abs(points - _middle(points)).max() + 2 / (len(hull) - 1)
    T = T @ _frame(_middle(points), half)
    hull = _hull(masks, cameras, T, FINE)
    points = _lattice_points(hull) @ T[:3, :3].T + T[:3, 3]
    centre = points.mean(axis=0)
    distances = np.linalg.norm(points - centre, axis=1)
    return _frame(centre, max(3 * distances.mean(), CLEARANCE * distances.max()))


def check_frame(masks: Sequence[np.ndarray], cameras: Cameras, names: Sequence[str], *, found: bool) -> list[str]:
    """Warnings about views and object in the normalised frame; `found`: by `find_object`, else given with the capture.

    Raises BadInput: all cameras in one place; silhouettes that contradict each other; of a given frame also that the
    object is not inside the unit sphere.
    """
    _refuse_one_place(cameras)
    rays = object_rays(masks, cameras)
    warnings = [] if found else _ray_warnings(rays) or _hull_warnings(masks, cameras)
    hull = visual_hull(masks, cameras, COARSE, min_fraction=0.85, min_inside=0.25).cpu().numpy()
    return warnings + _agreement_warnings(agreement(hull, rays, len(masks)), names)


def object_rays(masks: Sequence[np.ndarray], cameras: Cameras) -> ObjectRays:
    """Rays through object pixels evenly taken from each view, in the cameras' frame; none from a mask that is full."""
    inverse, rotations = inverse_intrinsics(cameras).numpy(), rotation_matrices(cameras.quaternions).numpy()
    views, directions = [], []
    for view, mask in enumerate(masks):
        pixels = np.flatnonzero(mask & ~mask.all())
        chosen = pixels[np.unique(np.linspace(0, len(pixels) - 1, min(RAYS_PER_VIEW, len(pixels))).astype(int))]
        row, column = np.divmod(chosen, mask.shape[1])
        through = np.stack([column, row, np.ones_like(row)], axis=1) @ (rotations[view] @ inverse[view]).T
        directions.append(through / np.linalg.norm(through, axis=1, keepdims=True))
        views.append(np.full(len(chosen), view))
    view = np.concatenate(views)
    return ObjectRays(view, cameras.centres.numpy()[view], np.concatenate(directions))


def agreement(hull: np.ndarray, rays: ObjectRays, views: int) -> np.ndarray:
    """Share (V,) of each view's object rays that meet the hull (M, M, M) over [-1, 1]^3; 1 for a view without rays."""
    grown = binary_dilation(hull, iterations=2)  # a lattice misses parts thinner than its cells
    middle = -(rays.origins * rays.directions).sum(axis=1)
    depths = middle[:, None] + np.linspace(-np.sqrt(3), np.sqrt(3), DEPTHS)
    points = rays.origins[:, None] + depths[:, :, None] * rays.directions[:, None]
    cell = np.clip(np.rint((points + 1) * (len(hull) - 1) / 2), 0, len(hull) - 1).astype(int)
    within = (depths > 0) & (abs(points) <= 1).all(axis=2)
    meets = (grown[tuple(np.moveaxis(cell, 2, 0))] & within).any(axis=1)
    counts = np.bincount(rays.view, minlength=views)
    return np.where(counts > 0, np.bincount(rays.view, meets, views) / np.maximum(counts, 1), 1.0)


def _frame(centre: np.ndarray, scale: float) -> np.ndarray:
    T = np.diag([scale, scale, scale, 1.0])
    T[:3, 3] = centre
    return T


def _lattice_points(occupied: np.ndarray) -> np.ndarray:
    """Points (N, 3) of the lattice over [-1, 1]^3 that are occupied."""
    return np.argwhere(occupied) * (2 / (len(occupied) - 1)) - 1


def _middle(points: np.ndarray) -> np.ndarray:
    return (points.min(axis=0) + points.max(axis=0)) / 2


def _hull(masks: Sequence[np.ndarray], cameras: Cameras, T_world_box: np.ndarray, resolution: int) -> np.ndarray:
    """Hull over the box, by the first of RULES with which most object rays meet it."""
    in_box = transform_cameras(np.linalg.inv(T_world_box), cameras)
    rays = object_rays(masks, in_box)
    hull = np.zeros((resolution,) * 3, dtype=bool)
    for min_fraction, min_inside in RULES:
        carved = visual_hull(masks, in_box, resolution, min_fraction=min_fraction, min_inside=min_inside)
        hull = carved.cpu().numpy()
        if hull.any() and np.median(agreement(hull, rays, len(masks))) > MEDIAN_AGREEMENT:
            break
    return hull


def _first_guess(rays: ObjectRays) -> np.ndarray:
    """T_world_box (4, 4): a box about the point nearest to all silhouettes' mean directions, as wide as they look."""
    parts = [rays.view == view for view in np.unique(rays.view)]
    means = np.stack([_mean_direction(rays.directions[part]) for part in parts])
    origins = np.stack([rays.origins[part][0] for part in parts])
    centre = _nearest_point(origins, means)
    sines = [
        np.linalg.norm(np.cross(rays.directions[part], mean), axis=1).max()
        for part, mean in zip(parts, means, strict=True)
    ]
    radius = float(np.median(np.linalg.norm(centre - origins, axis=1) * sines))
    if not 0 < radius < np.inf:
        raise BadInput("object not found", where="masks", why="the silhouettes' rays do not meet", todo=_CHECK)
    return _frame(centre, 1.2 * radius)


def _mean_direction(directions: np.ndarray) -> np.ndarray:
    mean = directions.mean(axis=0)
    return mean / np.linalg.norm(mean)


def _nearest_point(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The point with the least sum of distances to lines (V, 3), by reweighted least squares."""
    across = np.eye(3) - directions[:, :, None] * directions[:, None]
    weights, point = np.ones(len(origins)), np.zeros(3)
    for _ in range(30):
        system = (weights[:, None, None] * across).sum(axis=0)
        target = (weights[:, None] * np.einsum("vij,vj->vi", across, origins)).sum(axis=0)
        point = np.linalg.lstsq(system, target, rcond=None)[0]
        away = np.linalg.norm(np.einsum("vij,vj->vi", across, point - origins), axis=1)
        weights = 1 / np.maximum(away, 1e-6 * np.linalg.norm(point - origins, axis=1) + 1e-300)
    return point


def _bounded_hull(
    masks: Sequence[np.ndarray], cameras: Cameras, T_world_box: np.ndarray, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """A box that holds the whole hull, and the hull in it."""
    first, hull = T_world_box, np.zeros((COARSE,) * 3, dtype=bool)
    for _ in range(GROWTHS):
        hull = _hull(masks, cameras, T_world_box, COARSE)
        if hull.any() and not _touches(hull):
            return T_world_box, hull
        T_world_box = T_world_box @ np.diag([GROWTH, GROWTH, GROWTH, 1.0])
    if hull.any():
        why = "the silhouettes do not bound the object in all directions"
        raise BadInput("object not found", where="masks", why=why, todo="add views from other sides")
    in_box = transform_cameras(np.linalg.inv(first), cameras)
    consensus = visual_hull(masks, in_box, COARSE, min_fraction=0, min_inside=CONSENSUS).cpu().numpy()
    raise _disagreement(agreement(consensus, object_rays(masks, in_box), len(masks)), names)


def _touches(hull: np.ndarray) -> bool:
    faces = (hull[0], hull[-1], hull[:, 0], hull[:, -1], hull[:, :, 0], hull[:, :, -1])
    return any(face.any() for face in faces)


def _disagreement(shares: np.ndarray, names: Sequence[str]) -> BadInput:
    """The error that names the views with the least agreement."""
    worst = np.argsort(shares, kind="stable")
    low = [names[int(view)] for view in worst if shares[view] < VIEW_AGREEMENT] or [names[int(worst[0])]]
    why = f"views {', '.join(low[:5])}{' ...' if len(low) > 5 else ''} show the object where the others do not"
    return BadInput("masks disagree", where=f"{len(low)} of {len(names)} views", why=why, todo=_CHECK)


def _agreement_warnings(shares: np.ndarray, names: Sequence[str]) -> list[str]:
    if np.median(shares) < MEDIAN_AGREEMENT:
        raise _disagreement(shares, names)
    low = [name for name, share in zip(names, shares, strict=True) if share < VIEW_AGREEMENT]
    return [f"masks of views {', '.join(low[:5])} disagree with the other {len(names) - len(low)}"] if low else []


def _refuse_one_place(cameras: Cameras) -> None:
    centres = cameras.centres
    extent = float((centres - centres.mean(dim=0)).norm(dim=1).max())
    if extent < SAME_PLACE * max(float(centres.norm(dim=1).mean()), SAME_PLACE):
        why = "all cameras are in one place, so that no depth can be seen"
        raise BadInput("degenerate cameras", where=f"{len(cameras)} views", why=why, todo="move between the photos")


def _ray_warnings(rays: ObjectRays) -> list[str]:
    """How many object pixels look past the unit sphere."""
    middle = -(rays.origins * rays.directions).sum(axis=1)
    missing = np.linalg.norm(rays.origins + middle[:, None] * rays.directions, axis=1) > 1
    away = middle <= 0
    if away.mean() > 0.5:
        why = f"{100 * away.mean():.0f} % of the object's rays point away from it"
        todo = "check the axes (x right, y down, z forward) and that matrices map world to camera, or use --normalize"
        raise BadInput("cameras look away from the object", where="world_mat, scale_mat", why=why, todo=todo)
    views, counts = np.unique(rays.view, return_counts=True)
    share = np.quantile(np.bincount(rays.view, missing)[views] / counts, 1 - MISSING_VIEWS)
    text = f"{100 * missing.mean():.1f} % of the object's pixels look past the unit sphere"
    return _outside(text, bool(share > MISSING), bool(share > MISSING_WARNED))


def _hull_warnings(masks: Sequence[np.ndarray], cameras: Cameras) -> list[str]:
    """How much of the hull is outside the unit sphere: rays may meet the sphere that do not meet the object in it."""
    if len(masks) < FEW:
        return []
    in_box = transform_cameras(np.diag([1 / WIDER, 1 / WIDER, 1 / WIDER, 1.0]), cameras)
    hull = visual_hull(masks, in_box, COARSE, min_fraction=0.0, min_inside=MOST).cpu().numpy()
    if not hull.any():
        return []
    points, cell = WIDER * _lattice_points(hull), 2 * WIDER / (COARSE - 1)
    share = (np.linalg.norm(points, axis=1) > 1 + cell).mean()
    text = f"{100 * share:.1f} % of the object's visual hull is outside the unit sphere"
    return _outside(text, bool(share > OUTSIDE), bool(share > OUTSIDE_WARNED))


def _outside(text: str, refused: bool, warned: bool) -> list[str]:
    if refused:
        todo = "use --normalize to find the object from the masks"
        raise BadInput("object outside the unit sphere", where="scale_mat_0", why=text, todo=todo)
    return [f"{text} of scale_mat_0; --normalize finds the object from the masks"] if warned else []
