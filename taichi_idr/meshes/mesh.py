"""Triangle meshes, and what is measured on them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..cameras.pinhole import scale_of
from .texture import Texture

CHUNK = 1 << 17  # faces at a time; bounds the memory of intermediate results


BodyCount = int | Literal["all", "main"]
"""How many bodies are kept, the largest first; main: those that are not small beside it."""


@dataclass(frozen=True)
class Extraction:
    """How a mesh was made of a run: samples along the shortest axis of its box, steps that the fit had done, bodies
    that were asked for."""

    resolution: int
    step: int
    bodies: BodyCount = "main"


@dataclass(frozen=True)
class Mesh:
    """vertices (V, 3) float64; faces (F, 3) int32, counter-clockwise seen from outside; normals (V, 3)
    float32 unit; colours (V, 3) uint8 sRGB or None; extraction: of one that was made of a run; texture: of one that has
    pictures on its faces."""

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    colours: np.ndarray | None = None
    extraction: Extraction | None = None
    texture: Texture | None = None

    def origin(self) -> dict[str, int | str]:
        """What a file says about the mesh's extraction, by name."""
        return asdict(self.extraction) if self.extraction else {}


@dataclass(frozen=True)
class Stance:
    """How a mesh stands. turn (3, 3): rotation from its frame to one with y upward and its front towards z; metres:
    length of its unit, None where nobody knows; T_capture_mesh (4, 4): similarity from its frame to the capture's."""

    turn: np.ndarray
    metres: float | None
    T_capture_mesh: np.ndarray


@dataclass(frozen=True)
class Topology:
    """`closed`: every edge belongs to exactly two faces that run through it in opposite directions; `bodies`:
    connected parts; `euler`: V - E + F, 2 for a sphere and 2 - 2 g with g handles."""

    closed: bool
    bodies: int
    euler: int

    @property
    def handles(self) -> int:
        """Genus, summed over the bodies; meaningful when closed."""
        return self.bodies - self.euler // 2


def make_mesh(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """Mesh with area-weighted vertex normals, uncoloured."""
    return Mesh(vertices, faces, _vertex_normals(vertices, faces))


def transformed(mesh: Mesh, similarity: np.ndarray) -> Mesh:
    """`mesh` moved by a (4, 4) similarity of positive scale."""
    linear = similarity[:3, :3]
    rotation = linear / scale_of(similarity)
    vertices = mesh.vertices @ linear.T + similarity[:3, 3]
    texture = mesh.texture and mesh.texture.turned(rotation)
    return replace(mesh, vertices=vertices, normals=(mesh.normals @ rotation.T).astype(np.float32), texture=texture)


def upright(up: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) that takes the unit vector `up` to y, and of `front` what is across it to z."""
    front = front - (front @ up) * up
    if np.linalg.norm(front) < 1e-6:
        front = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    front = front / np.linalg.norm(front)
    return np.stack([np.cross(up, front), up, front])


def topology(faces: np.ndarray, vertex_count: int) -> Topology:
    """Count edges and parts; a vertex that no face uses counts as a body."""
    starts, ends = faces, np.roll(faces, -1, axis=1)
    forth = np.sort((starts.astype(np.int64) * vertex_count + ends).ravel())
    back = np.sort((ends.astype(np.int64) * vertex_count + starts).ravel())
    closed = bool(len(forth) > 0 and np.array_equal(forth, back) and np.all(forth[1:] != forth[:-1]))
    both = forth if closed else np.sort(np.concatenate([forth, back]))
    edges = (int(np.count_nonzero(np.diff(both))) + min(len(both), 1)) // 2
    bodies, _ = connected_parts(faces, vertex_count)
    return Topology(closed, bodies, vertex_count - edges + len(faces))


def topology_by_position(vertices: np.ndarray, faces: np.ndarray) -> tuple[int, Topology]:
    """Distinct positions among vertices (V, 3), and the topology of the mesh that has one vertex at each.

    It differs from `topology` where a precision is too small for the mesh: faces whose corners fall together are gone.
    """
    distinct, corners = joined_by_position(vertices, faces)
    return distinct, topology(corners, distinct)


def joined_by_position(vertices: np.ndarray, faces: np.ndarray) -> tuple[int, np.ndarray]:
    """Distinct positions among vertices (V, 3), and the faces that are left with one vertex at each: `faces` itself
    where all are distinct."""
    order = np.lexsort(vertices.T)
    differs = (vertices[order[1:]] != vertices[order[:-1]]).any(axis=1)
    if differs.all():
        return len(vertices), faces
    number = np.zeros(len(vertices), np.int32)
    number[order[1:]] = np.cumsum(differs)
    corners = number[faces]
    return int(differs.sum()) + 1, corners[(corners != np.roll(corners, 1, axis=1)).all(axis=1)]


def area(vertices: np.ndarray, faces: np.ndarray) -> float:
    return float(np.linalg.norm(face_vectors(vertices, faces), axis=1).sum() / 2)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Enclosed volume, positive where faces look outward."""
    return float(face_volumes(vertices, faces).sum())


def face_vectors(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Outward normals (F, 3) whose length is twice the face's area."""
    vectors = np.empty((len(faces), 3))
    for start in range(0, len(faces), CHUNK):
        a, b, c = (vertices[faces[start : start + CHUNK, k]] for k in range(3))
        vectors[start : start + CHUNK] = np.cross(b - a, c - a)
    return vectors


def face_volumes(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Signed volume (F,) between each face and the vertices' mean: taken to an origin far away, their sum would be its
    rounding."""
    middle = vertices.mean(axis=0) if len(vertices) else np.zeros(3)
    volumes = np.empty(len(faces))
    for start in range(0, len(faces), CHUNK):
        a, b, c = (vertices[faces[start : start + CHUNK, k]] - middle for k in range(3))
        volumes[start : start + CHUNK] = np.einsum("fi,fi->f", a, np.cross(b, c)) / 6
    return volumes


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, 3) of length 1 in whatever unit; one without length stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def connected_parts(faces: np.ndarray, vertex_count: int) -> tuple[int, np.ndarray]:
    """Number of connected parts and the part of each vertex."""
    rows, columns = faces[:, :2].ravel(), faces[:, 1:].ravel()
    links = coo_matrix((np.ones(len(rows), np.uint8), (rows, columns)), shape=(vertex_count, vertex_count))
    return connected_components(links, directed=False)


def without_crumbs(vertices: np.ndarray, faces: np.ndarray, least_share: float) -> tuple[np.ndarray, np.ndarray]:
    """A closed surface without the connected parts that enclose less than that share of what the largest does.

    Hollows are parts too, and stay if they are large.
    """
    count, part = connected_parts(faces, len(vertices))
    enclosed = np.abs(np.bincount(part[faces[:, 0]], weights=face_volumes(vertices, faces), minlength=count))
    kept = (enclosed >= least_share * enclosed.max())[part]
    renumbered = np.cumsum(kept, dtype=np.int32) - 1
    return vertices[kept], renumbered[faces[kept[faces[:, 0]]]]


def _vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    vectors = face_vectors(vertices, faces)
    total = np.zeros((len(vertices), 3))
    for axis in range(3):
        for corner in range(3):
            total[:, axis] += np.bincount(faces[:, corner], weights=vectors[:, axis], minlength=len(vertices))
    return unit_vectors(total).astype(np.float32)
