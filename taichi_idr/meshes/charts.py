"""A mesh cut into charts that lie flat, side by side in one picture.

Libraries that cut one large mesh take a time that grows faster than it does. So the surface is first divided into round
patches, by its own distances and bends, which become charts one by one: a tenth of the time, and fewer charts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from .mesh import Mesh, area, connected_parts, face_vectors, unit_vectors
from .texture import Atlas

PATCH_FACES = 1300  # on average
ROUNDS = 3  # in which patches move to the middle of what is near to them
BEND = 4.0  # how much farther it is over an edge of 90 degrees
PADDING = 18  # texels between charts of large pictures; small ones shrink more once they are packed
FACE_AREA = 20.0  # of a face on average, as xatlas gets it: what is smaller than 1e-7 has no area to it
SEED = 0


def unwrapped(mesh: Mesh, size: int) -> Atlas:
    """Charts of a mesh in a picture of size x size texels, by xatlas."""
    import xatlas

    atlas, patches = xatlas.Atlas(), _patches(mesh)
    low, scale = mesh.vertices.min(axis=0), np.sqrt(FACE_AREA * len(mesh.faces) / area(mesh.vertices, mesh.faces))
    unit = ((mesh.vertices - low) * scale).astype(np.float32)
    used = [np.unique(mesh.faces[faces], return_inverse=True) for faces in patches]
    for vertices, corners in used:
        atlas.add_mesh(unit[vertices], corners.reshape(-1, 3).astype(np.uint32))
    options: Any = xatlas.PackOptions()
    options.resolution, options.padding, options.create_image = size, _padding(size), False
    atlas.generate(pack_options=options)
    scale = size / max(atlas.width, atlas.height)
    extent = scale * np.array([atlas.width, atlas.height])
    places, vertex, corners, count = [], [], np.empty((len(mesh.faces), 3), np.int32), 0
    for k, ((vertices, _), faces) in enumerate(zip(used, patches, strict=True)):
        source, triangles, uv = atlas[k]
        places.append(uv.astype(np.float64) * extent - 0.5)
        vertex.append(vertices[source].astype(np.int32))
        corners[faces] = triangles.astype(np.int32) + count
        count += len(source)
    return Atlas(np.concatenate(places), corners, np.concatenate(vertex), size, size, options.padding * scale)


def _padding(size: int) -> int:
    return max(min(max(PADDING, 20 * 1024 // size), size // 50), 1)


def _patches(mesh: Mesh) -> list[np.ndarray]:
    """Faces of each patch, every face in one: round on the surface, within one part of the mesh."""
    areas = np.linalg.norm(face_vectors(mesh.vertices, mesh.faces), axis=1)
    areas = np.maximum(areas, 1e-6 * areas.max())
    _, part = connected_parts(mesh.faces, len(mesh.vertices))
    graph, middles = _neighbours(mesh), mesh.vertices[mesh.faces].mean(axis=1)
    seeds = _seeds(part[mesh.faces[:, 0]], areas)
    for _ in range(ROUNDS):
        patch = _nearest_seed(graph, seeds)
        weight = np.bincount(patch, weights=areas, minlength=len(seeds))[:, None]
        sums = [np.bincount(patch, weights=areas * middles[:, k], minlength=len(seeds)) for k in range(3)]
        centre = np.stack(sums, axis=1) / weight
        order = np.lexsort((((middles - centre[patch]) ** 2).sum(axis=1), patch))
        seeds = order[np.searchsorted(patch[order], np.arange(len(seeds)))]
    order = np.argsort(patch, kind="stable")
    return np.split(order, np.searchsorted(patch[order], np.arange(1, len(seeds))))


def _seeds(part: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Faces at random, by area, in each part (F,) of the mesh at least one."""
    generator = np.random.default_rng(SEED)
    count = max(len(part) // PATCH_FACES, 1)
    scattered = generator.choice(len(part), count, replace=False, p=areas / areas.sum())
    return np.unique(np.concatenate([scattered, np.unique(part, return_index=True)[1]]))


def _nearest_seed(graph: csr_array, seeds: np.ndarray) -> np.ndarray:
    """Which of the seeds (S,), sorted or not, is nearest to each face (F,)."""
    _, _, source = dijkstra(graph, indices=seeds, min_only=True, return_predecessors=True)
    order = np.argsort(seeds)
    return order[np.searchsorted(seeds, source, sorter=order)]


def _neighbours(mesh: Mesh) -> csr_array:
    """(F, F): how far it is from a face's middle to that of a neighbour, more over a bend."""
    corners = mesh.faces.astype(np.int64)
    ends = np.sort(np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    key = ends[:, 0] * len(mesh.vertices) + ends[:, 1]
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    one, other = order[same] // 3, order[same + 1] // 3
    middles = mesh.vertices[mesh.faces].mean(axis=1)
    normals = unit_vectors(face_vectors(mesh.vertices, mesh.faces))
    bend = 1 - np.einsum("ei,ei->e", normals[one], normals[other])
    length = np.linalg.norm(middles[one] - middles[other], axis=1) * (1 + BEND * bend)
    length = np.maximum(length, 1e-12 * max(float(length.max(initial=0)), 1e-300))
    rows, columns = np.concatenate([one, other]), np.concatenate([other, one])
    return coo_array((np.concatenate([length, length]), (rows, columns)), shape=(len(corners),) * 2).tocsr()
