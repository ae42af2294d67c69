"""What a person points at, and the options of `tidr mesh` that say it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..meshes.mesh import Mesh

DIGITS = 4  # of the object's size: finer than anybody points


@dataclass(frozen=True)
class CropBox:
    """Corners (3,) of a box along the axes of the world frame, least and greatest."""

    low: np.ndarray
    high: np.ndarray

    def edges(self) -> np.ndarray:
        """Its twelve edges as pairs of points (12, 2, 3), world frame."""
        corner = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        ends = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
        return (self.low + corner * (self.high - self.low))[np.array(ends)]

    def option(self, size: float) -> str:
        """For `tidr mesh`; size: of the object, which says how many digits are worth telling."""
        return f"--box={_triple(self.low, size)},{_triple(self.high, size)}"


def box_around(points: np.ndarray) -> CropBox:
    """Of points (N, 3) in the world frame, with a twentieth of its size to spare, in numbers of few digits."""
    low, high = points.min(axis=0), points.max(axis=0)
    size = float((high - low).max())
    return CropBox(np.round(low - size / 20, places(size)), np.round(high + size / 20, places(size)))


def distance_option(one: np.ndarray, other: np.ndarray, known: str, size: float) -> str:
    """For `tidr mesh`: two points (3,) of the world frame that are `known` apart, such as 120mm."""
    return f'--scale-points "{_triple(one, size)} {_triple(other, size)} {known}"'


def first_hit(mesh: Mesh, origin: np.ndarray, direction: np.ndarray) -> np.ndarray | None:
    """Where a ray first meets the mesh (3,), None where it does not; origin, direction (3,) in the mesh's frame.

    Möller and Trumbore, "Fast, minimum storage ray/triangle intersection", 1997, for all triangles at once.
    """
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    along, across = b - a, c - a
    p = np.cross(direction, across)
    determinant = np.einsum("fi,fi->f", along, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        s = origin - a
        u = np.einsum("fi,fi->f", s, p) / determinant
        q = np.cross(s, along)
        v = q @ direction / determinant
        depth = np.einsum("fi,fi->f", across, q) / determinant
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (depth > 0)
    return origin + depth[hit].min() * direction if hit.any() else None


def places(size: float) -> int:
    """After the point of a number, that tell DIGITS of a size."""
    return max(0, DIGITS - math.floor(math.log10(size)) - 1)


def _triple(point: np.ndarray, size: float) -> str:
    """Rounded to so many digits of a size, without exponents."""
    return ",".join(f"{value + 0.0:.{places(size)}f}" for value in point)
