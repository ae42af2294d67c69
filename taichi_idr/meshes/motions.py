"""Sequences of meshes whose motion is known: one shape that turns, bends or breathes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from .mesh import Mesh, make_mesh

SEMI_AXES = (1.0, 0.45, 0.32)
"""Of the ellipsoid that the shape is made of, long along x."""
BUMPS = (
    ((0.9, 0.4, 0.1), 0.5),
    ((-0.5, -0.7, 0.4), 0.9),
    ((-0.7, 0.6, 0.3), -0.3),
    ((0.3, -0.8, -0.6), 0.6),
    ((0.3, 0.3, 0.9), 0.8),
)
"""Directions in which it bulges, and how much. No two of its sides are alike, so that every place of it can be told."""
SHARPNESS = 8.0  # of the bumps
TURN = np.radians(90)
TURN_AXIS = np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])
BEND = np.radians(70)  # between the ends
BREATH = 0.35  # how much wider the middle becomes

Motion = Callable[[np.ndarray, float], np.ndarray]
"""Places (N, 3) at time 0, time in [0, 1] -> places (N, 3) then."""


def still_shape(subdivisions: int = 4) -> Mesh:
    """A closed, lopsided body about 2 long, with 2 + 10 * 4^subdivisions vertices."""
    ball = trimesh.creation.icosphere(subdivisions)
    directions = np.asarray(ball.vertices)
    radius = np.ones(len(directions))
    for towards, height in BUMPS:
        cosine = directions @ (np.array(towards) / np.linalg.norm(towards))
        radius += height * np.exp(SHARPNESS * (cosine - 1))
    return make_mesh(directions * radius[:, None] * SEMI_AXES, np.asarray(ball.faces, np.int32))


def turning(places: np.ndarray, time: float) -> np.ndarray:
    """A quarter turn about an oblique axis."""
    return places @ Rotation.from_rotvec(time * TURN * TURN_AXIS).as_matrix().T


def bending(places: np.ndarray, time: float) -> np.ndarray:
    """The long axis becomes an arc of its own length; sections across it stay plane."""
    curvature = time * BEND / 2
    if curvature == 0:
        return places.copy()
    along, aside, up = places.T
    radius = 1 / curvature - aside
    bent = [radius * np.sin(curvature * along), 1 / curvature - radius * np.cos(curvature * along), up]
    return np.stack(bent, axis=1)


def breathing(places: np.ndarray, time: float) -> np.ndarray:
    """The middle widens and becomes as it was, and a wave of it goes along the body."""
    wide = 1 + BREATH * np.sin(np.pi * time) * np.exp(-2 * (places[:, 0] - 0.6 * (2 * time - 1)) ** 2)
    return places * np.stack([np.ones_like(wide), wide, wide], axis=1)


MOTIONS: dict[str, Motion] = {"turning": turning, "bending": bending, "breathing": breathing}


def moving_shape(motion: str, frames: int = 17, subdivisions: int = 4) -> list[Mesh]:
    """The shape at `frames` (2 at least) even times from 0 to 1; vertices and faces correspond."""
    still, move = still_shape(subdivisions), MOTIONS[motion]
    return [make_mesh(move(still.vertices, time), still.faces) for time in np.linspace(0, 1, frames)]
