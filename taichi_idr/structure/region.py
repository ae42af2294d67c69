"""Where the object is among the points of a structure: above what it stands on, near to where the cameras look.

Distances are in those from the cameras to the point they look at, since a structure has no unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from ..cameras.focus import nearest_point
from ..cameras.rotations import axes_about
from ..errors import BadInput
from ..nearest import tree_of
from ..types import Plane
from .model import Structure

WORST_ERROR = 0.005  # of a photo's longer side: points that lie that far from where photos show them are mistakes
TOLERANCE, TRIALS = 0.01, 2000  # of the support plane
IN_FRONT = 0.95  # share of the cameras that look down on the support
FEWEST, LEAST_SHARE, MOST_BEHIND = 30, 0.08, 0.03
"""Points on a support plane, and their share; points behind it, in those on it: an object's flat top has more."""
ABOVE = 2.0  # tolerances from the plane, from which on a point is the object's
NEAR = 1.0  # radius about the focus in which points are looked at
JOINED, ALSO, FOCUS_WIDTH = 0.06, 0.12, 0.25
"""Points nearer than the first are of one part; parts nearer than the second to the main one belong to it. The main one
has most points, weighted by a Gaussian of this width about the focus."""
LEAST_PART = 5  # points: fewer are mistakes
ROOM = 1.35  # radius of the region in those of the object's points: parts without texture have none
FEWEST_POINTS = 20
GUESS = 0.45  # radius of the region where there are fewer, in the cameras' distance: a photo shows little more


@dataclass(frozen=True)
class Region:
    """A ball (centre (3,), radius) that holds the object, world frame; support: what it stands on, where that is plain
    to see. is_object, is_support (N,) bool: of the structure's points."""

    centre: np.ndarray
    radius: float
    support: Plane | None
    is_object: np.ndarray
    is_support: np.ndarray

    @property
    def sentence(self) -> str:
        """For the terminal."""
        standing = "on a plane" if self.support is not None else "without a plane below it"
        return f"object    {int(self.is_object.sum())} points, {standing}"

    def T_region_world(self, up: np.ndarray) -> np.ndarray:
        """(4, 4): the similarity that makes the ball the unit ball, with unit vector `up` along z."""
        T = np.eye(4)
        T[:3, :3] = axes_about(up) / self.radius
        T[:3, 3] = -T[:3, :3] @ self.centre
        return T


def find_region(structure: Structure, generator: np.random.Generator) -> Region:
    """Of fewer than FEWEST_POINTS points of an object, the ball is a guess of what the photos show, before a support.

    Raises BadInput where cameras do not look at one place that has points.
    """
    focus = nearest_point(structure.centres, structure.rotations[:, :, 2])
    unit = float(np.median(np.linalg.norm(structure.centres - focus, axis=1)))
    longest = max(max(view.pinhole.width, view.pinhole.height) for view in structure.views)
    near = np.linalg.norm(structure.points - focus, axis=1) < NEAR * unit
    near &= structure.errors < WORST_ERROR * longest
    support = _support(structure.points[near], structure.centres, TOLERANCE * unit, generator)
    height = np.full(len(near), np.inf) if support is None else support.height(structure.points)
    object_ = near & (height > ABOVE * TOLERANCE * unit)
    object_[object_] = _main_part(structure.points[object_], focus, unit)
    on_support = near & (np.abs(height) < ABOVE * TOLERANCE * unit)
    if object_.sum() < FEWEST_POINTS:
        if support is None:
            raise no_object(int(object_.sum()))
        return Region(focus, GUESS * unit, support, object_, on_support)
    centre, radius = ball_around(structure.points[object_])
    return Region(centre, ROOM * radius, support, object_, on_support)


def no_object(points: int) -> BadInput:
    """What to say where that few points are not enough, nor anything else."""
    why = f"{points} points are near to what the cameras look at"
    todo = "take photos all around one object, with more overlap, or say where it is: --region x,y,z,r"
    return BadInput("object not found", where="photos", why=why, todo=todo)


def upright(structure: Structure, region: Region) -> tuple[Structure, Region]:
    """Both in the frame whose unit ball the region is, z up: away from the support, or as the cameras stand."""
    up = -structure.rotations[:, :, 1].mean(axis=0) if region.support is None else region.support.normal
    length = np.linalg.norm(up)
    T = region.T_region_world(up / length if length > 0 else np.array([0.0, 0.0, 1.0]))
    moved = None if region.support is None else region.support.moved(T)
    return structure.moved(T), Region(np.zeros(3), 1.0, moved, region.is_object, region.is_support)


def region_of_ball(structure: Structure, centre: np.ndarray, radius: float, support: Plane | None) -> Region:
    """A region that is known; all of its points above the support are the object's."""
    inside = np.linalg.norm(structure.points - centre, axis=1) < radius
    if support is None:
        return Region(centre, radius, None, inside, np.zeros_like(inside))
    height, least = support.height(structure.points), ABOVE * TOLERANCE * radius
    return Region(centre, radius, support, inside & (height > least), np.abs(height) < least)


def _support(points: np.ndarray, centres: np.ndarray, tolerance: float, generator: np.random.Generator) -> Plane | None:
    """The plane with most points on it and fewest behind; None where no plane is plainly a support."""
    if len(points) < FEWEST:
        return None
    best, best_score = None, 0
    for _ in range(TRIALS):
        plane = _plane_through(points[generator.choice(len(points), 3, replace=False)], centres)
        if plane is None:
            continue
        on, behind = _on_and_behind(plane, points, tolerance)
        if (score := on.sum() - 2 * behind.sum()) > best_score:
            best, best_score = plane, score
    if best is None:
        return None
    best = _refined(best, points, tolerance)
    on, behind = _on_and_behind(best, points, tolerance)
    enough = on.sum() >= max(FEWEST, LEAST_SHARE * len(points))
    return best if enough and behind.sum() <= MOST_BEHIND * on.sum() else None


def _plane_through(three: np.ndarray, centres: np.ndarray) -> Plane | None:
    """With nearly all cameras on its upper side."""
    normal = np.cross(three[1] - three[0], three[2] - three[0])
    length = np.linalg.norm(normal)
    if not length > 0:
        return None
    plane = Plane(normal / length, float(normal @ three[0] / length))
    above = (plane.height(centres) > 0).mean()
    if above < 1 - IN_FRONT:
        return Plane(-plane.normal, -plane.offset)
    return plane if above > IN_FRONT else None


def _on_and_behind(plane: Plane, points: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    height = plane.height(points)
    return np.abs(height) < tolerance, height < -2 * tolerance


def _refined(plane: Plane, points: np.ndarray, tolerance: float) -> Plane:
    """Through the points on it, by least squares."""
    on, _ = _on_and_behind(plane, points, tolerance)
    middle = points[on].mean(axis=0)
    normal = np.linalg.svd(points[on] - middle, full_matrices=False)[2][2]
    normal *= np.sign(normal @ plane.normal)
    return Plane(normal, float(normal @ middle))


def _main_part(points: np.ndarray, focus: np.ndarray, unit: float) -> np.ndarray:
    """Which of the points (N, 3) are of the part that the cameras look at."""
    if len(points) == 0:
        return np.zeros(0, bool)
    tree = tree_of(points)
    part = _parts(tree, JOINED * unit)
    weight = np.exp(-0.5 * (np.linalg.norm(points - focus, axis=1) / (FOCUS_WIDTH * unit)) ** 2)
    main = part == np.bincount(part, weight).argmax()
    away, _ = tree_of(points[main]).query(points)
    near_parts = np.unique(part[away < ALSO * unit])
    return np.isin(part, near_parts[np.bincount(part)[near_parts] >= LEAST_PART])


def _parts(tree: KDTree, reach: float) -> np.ndarray:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = tree.query_pairs(reach, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(tree.n, tree.n))
    return connected_components(graph, directed=False)[1]


def ball_around(points: np.ndarray) -> tuple[np.ndarray, float]:
    """The least ball, nearly (Badoiu and Clarkson, Smaller core-sets for balls, SODA 2003)."""
    centre = points.mean(axis=0)
    for step in range(1, 1000):
        farthest = points[np.linalg.norm(points - centre, axis=1).argmax()]
        centre = centre + (farthest - centre) / (step + 1)
    return centre, float(np.linalg.norm(points - centre, axis=1).max())
