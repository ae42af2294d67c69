"""Where the object is, found from silhouettes and cameras alone.

Rule of the released code (section 7): centre = mean of the visual hull's points, scale = 3 x their mean distance.
Unlike there, any view may come first, the votes are a share of the views, and the box grows until it holds the hull.
"""

from __future__ import annotations

import numpy as np

from ..cameras.focus import nearest_point
from ..cameras.pinhole import transform_cameras
from ..errors import BadInput
from ..types import Cameras
from .disagreement import CHECK, MEDIAN_AGREEMENT, disagreement
from .frame import lattice_points, refuse_one_place
from .hulls import COARSE, Silhouettes, agreement, object_rays

RULES = ((0.0, 45 / 49), (45 / 49, 0.0))
"""Votes a hull point needs: share of the views that see it, share of all views (and three views). First the released
code's, 45 of 49 views; then one for captures whose photos show only parts of the object."""
FINE = 100
GROWTH, GROWTHS = 1.6, 8
SLACK = 1.15
"""How much larger than the hull, in every direction, the box is in which it is carved finely."""
CLEARANCE = 1.1
"""Least scale, in distances of the hull's farthest point: a thin object must fit into the unit sphere too."""
CONSENSUS = 0.5
"""Share of views that make the hull against which a disagreeing one is found."""


def find_object(views: Silhouettes, cameras: Cameras) -> np.ndarray:
    """T_world_normalised (4, 4): the similarity that puts the object into the unit sphere.

    cameras: V, in the world frame. Raises BadInput: the views see no common object, name those that disagree; or the
    hull has no end.
    """
    T, hull = _bounded_hull(views, cameras, first_guess(views, cameras))
    points = lattice_points(hull)
    half = SLACK * abs(points - _middle(points)).max() + 2 / (len(hull) - 1)
    T = T @ _frame(_middle(points), half)
    hull = _hull(views, cameras, T, FINE)
    points = lattice_points(hull) @ T[:3, :3].T + T[:3, 3]
    centre = points.mean(axis=0)
    distances = np.linalg.norm(points - centre, axis=1)
    return _frame(centre, max(3 * distances.mean(), CLEARANCE * distances.max()))


def first_guess(views: Silhouettes, cameras: Cameras) -> np.ndarray:
    """T_world_box (4, 4): a box about the point nearest to all silhouettes' mean directions, as wide as they look.

    Raises BadInput: the directions do not meet, or all cameras are in one place.
    """
    refuse_one_place(cameras, None)
    rays = object_rays(views.masks, cameras)
    parts = [rays.view == view for view in np.unique(rays.view)]
    means = np.stack([_mean_direction(rays.directions[part]) for part in parts])
    origins = np.stack([rays.origins[part][0] for part in parts])
    centre = nearest_point(origins, means)
    sines = [
        np.linalg.norm(np.cross(rays.directions[part], mean), axis=1).max()
        for part, mean in zip(parts, means, strict=True)
    ]
    refuse_one_place(cameras, centre)
    radius = float(np.median(np.linalg.norm(centre - origins, axis=1) * sines))
    if not 0 < radius < np.inf:
        raise BadInput("object not found", where="masks", why="the silhouettes' rays do not meet", todo=CHECK)
    return _frame(centre, 1.2 * radius)


def _frame(centre: np.ndarray, scale: float) -> np.ndarray:
    T = np.diag([scale, scale, scale, 1.0])
    T[:3, 3] = centre
    return T


def _middle(points: np.ndarray) -> np.ndarray:
    return (points.min(axis=0) + points.max(axis=0)) / 2


def _hull(views: Silhouettes, cameras: Cameras, T_world_box: np.ndarray, resolution: int) -> np.ndarray:
    """Hull over the box, by the first of RULES with which most object rays meet it."""
    in_box = transform_cameras(np.linalg.inv(T_world_box), cameras)
    rays = object_rays(views.masks, in_box)
    hull = np.zeros((resolution,) * 3, dtype=bool)
    for min_fraction, min_inside in RULES:
        hull = views.hull(in_box, resolution, min_fraction=min_fraction, min_inside=min_inside).cpu().numpy()
        if hull.any() and np.median(agreement(hull, rays, len(views))) > MEDIAN_AGREEMENT:
            break
    return hull


def _mean_direction(directions: np.ndarray) -> np.ndarray:
    mean = directions.mean(axis=0)
    return mean / np.linalg.norm(mean)


def _bounded_hull(views: Silhouettes, cameras: Cameras, T_world_box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A box that holds the whole hull, and the hull in it."""
    first, hull = T_world_box, np.zeros((COARSE,) * 3, dtype=bool)
    for _ in range(GROWTHS):
        hull = _hull(views, cameras, T_world_box, COARSE)
        if hull.any() and not _touches(hull):
            return T_world_box, hull
        T_world_box = T_world_box @ np.diag([GROWTH, GROWTH, GROWTH, 1.0])
    if hull.any():
        why = "the silhouettes do not bound the object in all directions"
        raise BadInput("object not found", where="masks", why=why, todo="add views from other sides")
    in_box = transform_cameras(np.linalg.inv(first), cameras)
    consensus = views.hull(in_box, COARSE, min_fraction=0.0, min_inside=CONSENSUS).cpu().numpy()
    raise disagreement(agreement(consensus, object_rays(views.masks, in_box), len(views)), views.names)


def _touches(hull: np.ndarray) -> bool:
    faces = (hull[0], hull[-1], hull[:, 0], hull[:, -1], hull[:, :, 0], hull[:, :, -1])
    return any(face.any() for face in faces)
