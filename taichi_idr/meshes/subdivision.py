"""Long edges of a mesh split, so that colours at vertices have room."""

from __future__ import annotations

import numpy as np

from .mesh import Mesh, face_vectors, unit_vectors

FACES_A_SQUARE = 9.24  # area over squared longest edge: equilateral faces whose edges came out half as long


def subdivided(mesh: Mesh, longest: float, most_vertices: int) -> Mesh:
    """The same surface with no edge longer than `longest`, unit of the vertices; some are longer where needles would
    make more vertices than `most_vertices`. An edge is split in its middle for both of its faces: what was closed stays
    closed. New vertices have normals between those of the edge's ends, so that it is shaded as before."""
    vertices, normals, faces = mesh.vertices, mesh.normals, mesh.faces
    while len(vertices) < most_vertices:
        ends, split = _split(vertices, faces, longest)
        if len(split) == len(faces):
            break
        faces = split
        vertices = np.concatenate([vertices, vertices[ends].mean(axis=1)])
        normals = np.concatenate([normals, unit_vectors(normals[ends].mean(axis=1)).astype(np.float32)])
    return mesh if faces is mesh.faces else Mesh(vertices, faces, normals)


def edge_for(mesh: Mesh, longest: float, most_vertices: int) -> float:
    """`longest`, or more if that would make more vertices than `most_vertices`, by the mesh's area."""
    area = float(np.linalg.norm(face_vectors(mesh.vertices, mesh.faces), axis=1).sum() / 2)
    room = max(2 * (most_vertices - len(mesh.vertices)), 1)  # faces: two for each vertex of a closed mesh
    return max(longest, (FACES_A_SQUARE * area / room) ** 0.5)


def _split(vertices: np.ndarray, faces: np.ndarray, longest: float) -> tuple[np.ndarray, np.ndarray]:
    """Every edge that is too long, once: its ends (E, 2), whose middles are the next vertices, and faces (F', 3)."""
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2)  # (F, 3, 2): the edge from each corner to the next
    lengths = np.linalg.norm(vertices[ends[..., 0]] - vertices[ends[..., 1]], axis=2)
    long = lengths > longest
    low, high = np.sort(ends[long], axis=1).astype(np.int64).T
    edges, number = np.unique(low * len(vertices) + high, return_inverse=True)
    middle = np.full(faces.shape, -1, faces.dtype)
    middle[long] = len(vertices) + number
    return np.stack([edges // len(vertices), edges % len(vertices)], axis=1), _cut(faces, middle, long)


def _cut(faces: np.ndarray, middle: np.ndarray, long: np.ndarray) -> np.ndarray:
    """Faces cut at the middles (F, 3) of their long edges, corner k to the next, into two, three or four."""
    count = long.sum(axis=1)
    # Turned so that a single long edge comes first, and a single short one last.
    first = np.where(count == 1, long.argmax(axis=1), (long.argmin(axis=1) + 1) % 3)[:, None]
    order = (first + np.arange(3)) % 3
    (a, b, c), (m, n, o) = (np.take_along_axis(x, order, axis=1).T for x in (faces, middle))
    pieces = {
        0: ((a, b, c),),
        1: ((a, m, c), (m, b, c)),
        2: ((m, b, n), (a, m, n), (a, n, c)),
        3: ((a, m, o), (m, b, n), (o, n, c), (m, n, o)),
    }
    parts = [np.stack([corner[count == k] for corner in piece], axis=1) for k in pieces for piece in pieces[k]]
    return np.concatenate(parts)
