"""Marching cubes whose surfaces are closed and manifold by construction.

Lorensen and Cline, "Marching cubes", 1987, with one rule for ambiguous faces: inside corners of a lattice
face are never joined across it. Both cells at a face see the same four signs, so their outlines agree and no
hole can appear. Each cell's outline is a set of loops over the cell's edges; a loop is cut into triangles by
diagonals that do not lie in a face of the cell, for the neighbour could draw the same one (an edge with four
triangles): a fan from one of the loop's vertices does it in all 256 cases.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

CORNERS = np.array([(c & 1, c >> 1 & 1, c >> 2 & 1) for c in range(8)])
EDGES = [(axis, corner) for axis in range(3) for corner in range(8) if not corner >> axis & 1]
CLEARANCE = 0.01  # share of an edge between a vertex and the lattice point: no triangle of zero area


class SurfaceBuilder:
    """Zero level of a lattice that arrives in slabs along its first axis; triangles are outward, inside
    negative.

    The first plane of a slab must be the last plane of the slab before, with the same values.
    """

    def __init__(self) -> None:
        self._vertices: list[np.ndarray] = []
        self._faces: list[np.ndarray] = []
        self._count = 0
        self._layer = 0
        self._plane: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, values: np.ndarray) -> None:
        """Continue with `values` (X, Y, Z), X - 1 layers of cells."""
        inside = values < 0
        ids = [self._edge_vertices(values, inside, axis) for axis in range(3)]
        self._plane = (ids[1][-1].copy(), ids[2][-1].copy())
        self._add_faces(inside, ids)
        self._layer += values.shape[0] - 1

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) float64 in lattice steps and faces (F, 3) int32."""
        vertices = np.concatenate([np.zeros((0, 3)), *self._vertices])
        return vertices, np.concatenate([np.zeros((0, 3), np.int32), *self._faces])

    def _edge_vertices(self, values: np.ndarray, inside: np.ndarray, axis: int) -> np.ndarray:
        """Vertex number of each lattice edge along `axis`, defined where the sign changes."""
        low, high = _ends(inside, axis)
        crossing = low != high
        ids = np.empty(crossing.shape, np.int32)
        if axis > 0 and self._plane is not None:
            ids[0] = self._plane[axis - 1]
            crossing[0] = False
        places = np.unravel_index(np.flatnonzero(crossing), crossing.shape)
        near, far = (end[places].astype(np.float64) for end in _ends(values, axis))
        points = np.stack(places, axis=1).astype(np.float64)
        points[:, axis] += np.clip(near / (near - far), CLEARANCE, 1 - CLEARANCE)
        ids[places] = self._append(points)
        return ids

    def _append(self, points: np.ndarray) -> np.ndarray:
        points[:, 0] += self._layer
        numbers = np.arange(self._count, self._count + len(points), dtype=np.int32)
        self._vertices.append(points)
        self._count += len(points)
        return numbers

    def _add_faces(self, inside: np.ndarray, ids: list[np.ndarray]) -> None:
        code = _cell_codes(inside)
        # 0 and 255 are the codes without a change of sign
        cells = np.unravel_index(np.flatnonzero(code + np.uint8(1) > 1), code.shape)
        if len(cells[0]) == 0:
            return
        code = code[cells]
        table = np.zeros((len(code), len(EDGES)), np.int32)
        for column, (axis, corner) in enumerate(EDGES):
            table[:, column] = ids[axis][tuple(cells[a] + CORNERS[corner, a] for a in range(3))]
        cell, triangle = np.nonzero(TRIANGLES[code, :, 0] >= 0)
        self._faces.append(table[cell[:, None], TRIANGLES[code[cell], triangle]])


def _ends(lattice: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Views of the values at the near and far end of each edge along `axis`."""
    others = (slice(None),) * axis
    return lattice[(*others, slice(None, -1))], lattice[(*others, slice(1, None))]


def _cell_codes(inside: np.ndarray) -> np.ndarray:
    """One bit per corner of each cell, set inside."""
    code = inside.view(np.uint8)
    for axis in range(3):
        low, high = _ends(code, axis)
        code = low | high << (1 << axis)
    return code


def _face_rings() -> list[list[int]]:
    """Corners around each of the six faces, counter-clockwise seen from outside the cell."""
    rings = []
    for axis in range(3):
        first, second = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
        ring = [0, first, first | second, second]
        rings += [[corner | 1 << axis for corner in ring], ring[::-1]]
    return rings


RINGS = _face_rings()


def _edge_between(a: int, b: int) -> int:
    return EDGES.index(((a ^ b).bit_length() - 1, a & b))


def _loops(case: int) -> list[list[int]]:
    """Closed outlines of the inside corners, as edges of the cell, counter-clockwise seen from outside the
    object."""
    following: dict[int, int] = {}
    for ring in RINGS:
        inside = [case >> corner & 1 for corner in ring]
        for i in range(4):
            if inside[i] and not inside[i - 1]:
                j = i
                while inside[(j + 1) % 4]:
                    j += 1
                leaving = _edge_between(ring[j % 4], ring[(j + 1) % 4])
                following[_edge_between(ring[i - 1], ring[i])] = leaving
    loops = []
    while following:
        loop = [min(following)]
        while loop[-1] in following:
            loop.append(following.pop(loop[-1]))
        loops.append(loop[:-1])
    return loops


def _share_face(a: int, b: int) -> bool:
    """Whether two edges of the cell lie in one of its faces."""
    sides = [{(o, EDGES[e][1] >> o & 1) for o in range(3) if o != EDGES[e][0]} for e in (a, b)]
    return bool(sides[0] & sides[1])


def _cut(loop: list[int]) -> list[tuple[int, int, int]]:
    """Fan of triangles without a diagonal in a face of the cell."""
    turned = (loop[turn:] + loop[:turn] for turn in range(len(loop)))
    apex, *rest = next(t for t in turned if not any(_share_face(t[0], other) for other in t[2:-1]))
    return [(apex, a, b) for a, b in pairwise(rest)]


def _triangle_table() -> np.ndarray:
    """Triangles (256, T, 3) of each sign pattern as edges of the cell, padded by -1."""
    rows = [[triangle for loop in _loops(case) for triangle in _cut(loop)] for case in range(256)]
    table = np.full((256, max(map(len, rows)), 3), -1, np.int8)
    for case, row in enumerate(rows):
        table[case, : len(row)] = np.array(row, np.int8).reshape(-1, 3)
    return table


TRIANGLES = _triangle_table()
