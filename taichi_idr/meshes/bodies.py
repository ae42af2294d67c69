"""The bodies of a surface that marching cubes drew: which of its closed parts are bodies, and how much each encloses.

A body is what lies behind an outermost part. Photos see no farther: the wall of a hollow, and whatever floats inside
one, belongs to the body around it, and is filled up with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .mesh import BodyCount, connected_parts, face_volumes

LEAST_SHARE = 0.02  # of the largest body's volume: what encloses less is no main body


@dataclass(frozen=True)
class Bodies:
    """B bodies of a closed surface, the one that encloses most first.

    vertices (V, 3), faces (F, 3): the whole surface. body (V,): which one's outside a vertex is on, -1 in a hollow.
    hollows (B,): how many of them each body has. volumes (B,): what each encloses, in steps of the lattice.
    """

    vertices: np.ndarray
    faces: np.ndarray
    body: np.ndarray
    hollows: np.ndarray
    volumes: np.ndarray

    def __len__(self) -> int:
        return len(self.hollows)

    def count(self, wanted: BodyCount) -> int:
        """How many are kept of these."""
        if wanted == "all":
            return len(self)
        if wanted == "main":
            return int((self.volumes >= LEAST_SHARE * self.volumes[:1]).sum())
        return min(wanted, len(self))

    def largest(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and faces of the outsides of the first `count` bodies."""
        used = (self.body >= 0) & (self.body < count)
        if used.all():
            return self.vertices, self.faces
        renumbered = np.cumsum(used, dtype=np.int32) - 1
        return self.vertices[used], renumbered[self.faces[used[self.faces[:, 0]]]]

    def any_vertex(self, flags: np.ndarray) -> np.ndarray:
        """Which bodies (B,) have a vertex on their outside that is marked in `flags` (V,)."""
        found = np.zeros(len(self), bool)
        found[self.body[flags & (self.body >= 0)]] = True
        return found


def find_bodies(vertices: np.ndarray, faces: np.ndarray) -> Bodies:
    """Bodies of a surface as `SurfaceBuilder` leaves it: vertices (V, 3) on the edges of a lattice, in its steps."""
    count, part = connected_parts(faces, len(vertices))
    volumes = np.bincount(part[faces[:, 0]], weights=face_volumes(vertices, faces), minlength=count)
    around = _parts_around(vertices, part, count)
    outer = np.array([p for p in range(count) if len(around[p]) == 0], int)
    outer = outer[np.argsort(-volumes[outer], kind="stable")]
    body = np.full(count, -1)
    body[outer] = np.arange(len(outer))
    walled = np.array([body[parts[0]] for parts in around if len(parts) == 1], int)
    return Bodies(vertices, faces, body[part], np.bincount(walled, minlength=len(outer)), volumes[outer])


def _parts_around(vertices: np.ndarray, part: np.ndarray, count: int) -> list[np.ndarray]:
    """The parts that each of `count` parts lies inside.

    A line of the lattice meets the surface in vertices only. A part that it has met an odd number of times on its way
    to another is around that one. Every part has a vertex on a line along the first axis: its farthest in that
    direction, since in the cell beyond any other its outline would go farther.
    """
    if count < 2:
        return [np.zeros(0, int)] * count
    on_line = vertices[:, 0] % 1 > 0
    x, y, z = vertices[on_line].T
    line = (y * (z.max() + 1) + z).astype(np.int64)
    order = np.lexsort((x, line))
    line, met = line[order], part[on_line][order]
    _, first = np.unique(met, return_index=True)
    start = np.searchsorted(line, line[first])
    return [_odd(met[a:b]) for a, b in zip(start.tolist(), first.tolist(), strict=True)]


def _odd(numbers: np.ndarray) -> np.ndarray:
    """Those that occur an odd number of times."""
    values, times = np.unique(numbers, return_counts=True)
    return values[times % 2 == 1]
