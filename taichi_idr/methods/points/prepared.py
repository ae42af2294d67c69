"""A cloud as a fit takes it: cleaned, in the normalised frame, with an inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from ...clouds.cleaning import Thinned, cleaned
from ...clouds.cloud import Cloud
from ...clouds.neighbours import in_chunks
from ...clouds.normals import Planes, local_planes
from ...clouds.orientation import lattice_for, oriented
from ...errors import BadInput
from ...nearest import tree_of
from .settings import CloudConfig

LEAST_SHARE = 0.005  # of the points, that a body has


@dataclass(frozen=True)
class PreparedCloud:
    """thinned: in the world frame. points (N, 3) float32, normalised frame; T_world_normalised (4, 4): similarity.
    planes: of these points."""

    thinned: Thinned
    points: np.ndarray
    T_world_normalised: np.ndarray
    planes: Planes

    @property
    def grain(self) -> float:
        """What cannot be told apart, normalised units: the usual spacing, or the noise where that is more."""
        return float(max(np.median(self.planes.spacing), np.median(self.planes.noise)))


@dataclass(frozen=True)
class Inside:
    """What preset `fast` knows of the surface beforehand.

    normals (N, 3) float32: of the cloud, outwards. distance (M, M, M) float32: signed, normalised units, at
    -1 + 2 (i, j, k) / (M - 1). measured (M, M, M) float32: distance from the nearest point of the cloud. bodies: how
    many there are. settled: whether all signs were found.
    """

    normals: np.ndarray
    distance: np.ndarray
    measured: np.ndarray
    bodies: int
    settled: bool


def prepared(cloud: Cloud, config: CloudConfig) -> PreparedCloud:
    """Raises BadInput where no surface can go through the points."""
    thinned = cleaned(cloud, most=config.points, count=config.neighbours, apart=config.apart)
    world = thinned.cloud.points
    middle = (world.min(axis=0) + world.max(axis=0)) / 2
    scale = float(np.linalg.norm(world - middle, axis=1).max()) / config.radius
    T = np.eye(4)
    T[:3, :3] *= scale
    T[:3, 3] = middle
    points = ((world - middle) / scale).astype(np.float32)
    return PreparedCloud(thinned, points, T, local_planes(points))


def found_inside(cloud: PreparedCloud, resolution: int) -> Inside:
    """Normals with signs and the distance that they make; resolution: of its lattice, at most."""
    side = lattice_for(cloud.planes.spacing, resolution)
    found = oriented(cloud.points, cloud.planes, cloud.thinned.cloud.normals, side)
    inside = np.pad(found.inside, [(0, 1)] * 3)  # the periodic lattice ends a cell before 1
    cell = 2 / side
    place = tuple(np.rint((cloud.points + 1) / cell).astype(int).T)
    inside, bodies = supported(inside, place)
    occupied = np.zeros(inside.shape, bool)
    occupied[place] = True
    measured = cell * np.asarray(ndimage.distance_transform_edt(~occupied), np.float32)
    return Inside(found.normals, cell * signed_steps(inside), measured, bodies, found.settled)


def supported(inside: np.ndarray, place: tuple[np.ndarray, ...]) -> tuple[np.ndarray, int]:
    """What of inside (M, M, M) bool is bodies that have more than stray points, given their cells; how many these are.

    Raises BadInput where there are none.
    """
    found: Any = ndimage.label(inside)
    labels, count = found
    owners = ndimage.maximum_filter(labels, 3)[place]
    points = np.bincount(owners, minlength=count + 1)
    kept = points >= LEAST_SHARE * len(owners)
    kept[0] = False
    if not kept.any():
        why = "they do not say where an inside is"
        raise BadInput("points without an inside", why=why, todo="scan the object from all sides, or give normals")
    return kept[labels], int(kept.sum())


def signed_steps(inside: np.ndarray) -> np.ndarray:
    """Distance (M, M, M) float32 from the border of what is inside, in cells, negative there, smoothed over one."""
    outward, inward = (np.asarray(ndimage.distance_transform_edt(side)) for side in (~inside, inside))
    steps = np.where(inside, 0.5 - inward, outward - 0.5).astype(np.float32)
    return ndimage.gaussian_filter(steps, 1.0)


def neighbour_distance(points: np.ndarray, number: int) -> np.ndarray:
    """Distance (N,) float32 of points (N, 3) from their `number`-th neighbour, or the last that there is."""
    count = min(number, len(points) - 1) + 1
    found = np.empty(len(points), np.float32)
    for part, (distance, _) in in_chunks(tree_of(points), points, count):
        found[part] = distance[:, -1]
    return found
