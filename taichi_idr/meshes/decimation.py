"""Fewer faces, as near to the surface as they can be."""

from __future__ import annotations

import numpy as np
import torch

from ..ops.closest_triangle import closest_triangle
from .mesh import Mesh, area, connected_parts, face_vectors, face_volumes, make_mesh, topology, volume
from .quadrics import by_quadrics

MEASURED = 100_000  # vertices of the finer mesh whose distance is measured
FLAT = 1e-14  # squared length, in boxes of 1, below which a face has no area
FIRST_TRY, WIDER = 0.08, 1.3  # of the edge that faces will have: how far they may move, and how that grows
WIDEST, LEAST_VOLUME = 0.05, 0.97  # of the box, and of what is enclosed: else the mesh is kept with more faces


def decimated(mesh: Mesh, faces: int) -> Mesh:
    """A closed mesh with about that many faces or fewer, uncoloured; the mesh itself if it has no more.

    By quadric error metrics: edges become points where that moves planes least. Where that would tear the mesh, as it
    may at narrow tunnels and necks, by a library that keeps every edge between two faces, within a distance; crumbs
    that come off are left out. Some meshes keep more faces than asked for: of fewer they would fall apart.
    """
    if len(mesh.faces) <= faces:
        return mesh
    low, extent = mesh.vertices.min(axis=0), float(np.ptp(mesh.vertices, axis=0).max())
    unit = make_mesh((mesh.vertices - low) / extent, mesh.faces)
    light = make_mesh(*by_quadrics(unit.vertices, unit.faces, faces))
    bodies = topology(unit.faces, len(unit.vertices)).bodies
    if not _is_whole(light, bodies):
        light = _within_distance(unit, faces, bodies)
    return make_mesh(light.vertices * extent + low, light.faces)


def distance_added(light: Mesh, mesh: Mesh) -> tuple[float, float]:
    """How far vertices of `mesh` are from the surface of `light`: mean and most, in their unit. Up to MEASURED of them
    are asked."""
    chosen = np.linspace(0, len(mesh.vertices) - 1, min(MEASURED, len(mesh.vertices))).astype(int)
    corners = torch.from_numpy(light.vertices[light.faces])
    distance, _ = closest_triangle(torch.from_numpy(mesh.vertices[chosen]), corners)
    return float(distance.double().mean()), float(distance.max())


def _is_whole(light: Mesh, bodies: int) -> bool:
    """Closed, with so many parts, no faces without area, and none with another on its back."""
    areas = np.linalg.norm(face_vectors(light.vertices, light.faces), axis=1)
    found = topology(light.faces, len(light.vertices))
    return bool(found.closed and found.bodies == bodies and (areas > FLAT).all() and light.normals.any(axis=1).all())


def _within_distance(mesh: Mesh, faces: int, bodies: int) -> Mesh:
    """Faces of a mesh of so many parts taken away within a distance of the surface, which grows until few enough are
    left."""
    import manifold3d

    solid = manifold3d.Manifold(manifold3d.Mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)))
    distance = FIRST_TRY * (2 * area(mesh.vertices, mesh.faces) / faces) ** 0.5
    light, enclosed = mesh, volume(mesh.vertices, mesh.faces)
    while solid.num_tri() > faces and distance < WIDEST:
        solid = solid.simplify(distance)
        found = solid.to_mesh()
        there = _largest_parts(np.array(found.vert_properties, np.float64), np.array(found.tri_verts, np.int32), bodies)
        if volume(there.vertices, there.faces) < LEAST_VOLUME * enclosed:
            break
        light, distance = there, distance * WIDER
    return light


def _largest_parts(vertices: np.ndarray, faces: np.ndarray, count: int) -> Mesh:
    """Those that enclose most."""
    parts, part = connected_parts(faces, len(vertices))
    volumes = np.bincount(part[faces[:, 0]], weights=face_volumes(vertices, faces), minlength=parts)
    kept = np.isin(part, np.argsort(-volumes, kind="stable")[:count])
    number = np.cumsum(kept, dtype=np.int32) - 1
    return make_mesh(vertices[kept], number[faces[kept[faces[:, 0]]]])
