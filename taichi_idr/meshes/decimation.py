"""Fewer faces, as near to the surface as they can be."""

from __future__ import annotations

import numpy as np
import torch

from ..ops.closest_triangle import closest_triangle
from .mesh import Mesh, face_vectors, make_mesh, topology

MEASURED = 100_000  # vertices of the finer mesh whose distance is measured
FLAT = 1e-14  # squared length, in boxes of 1, below which a face has no area


def decimated(mesh: Mesh, faces: int) -> Mesh | None:
    """A closed mesh with about that many faces or fewer, uncoloured; None where it would not stay what it is.

    By quadric error metrics (Garland and Heckbert, "Surface simplification using quadric error metrics", 1997): edges
    become points where that moves planes least. The mesh itself if it has no more faces. Parts and handles stay.
    """
    import fast_simplification

    if len(mesh.faces) <= faces:
        return mesh
    low, extent = mesh.vertices.min(axis=0), float(np.ptp(mesh.vertices, axis=0).max())
    unit = (mesh.vertices - low) / extent
    vertices, kept, *_ = fast_simplification.simplify(unit, mesh.faces, target_count=faces)
    light = make_mesh(vertices.astype(np.float64) * extent + low, kept.astype(np.int32))
    return light if _is_same_kind(light, mesh) else None


def distance_added(light: Mesh, mesh: Mesh) -> tuple[float, float]:
    """How far vertices of `mesh` are from the surface of `light`: mean and most, in their unit. Up to MEASURED of them
    are asked."""
    chosen = np.linspace(0, len(mesh.vertices) - 1, min(MEASURED, len(mesh.vertices))).astype(int)
    corners = torch.from_numpy(light.vertices[light.faces])
    distance, _ = closest_triangle(torch.from_numpy(mesh.vertices[chosen]), corners)
    return float(distance.double().mean()), float(distance.max())


def _is_same_kind(light: Mesh, mesh: Mesh) -> bool:
    """Closed, with as many parts and handles, no faces without area, and none with another on its back."""
    extent = float(np.ptp(mesh.vertices, axis=0).max())
    areas = np.linalg.norm(face_vectors(light.vertices, light.faces), axis=1) / extent**2
    there, here = topology(mesh.faces, len(mesh.vertices)), topology(light.faces, len(light.vertices))
    return bool(here == there and here.closed and (areas > FLAT).all() and light.normals.any(axis=1).all())
