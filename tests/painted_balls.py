"""The two balls of captures.py as a mesh in the capture's world frame, in millimetres."""

from __future__ import annotations

import numpy as np
import trimesh
from captures import BALLS, ORIGIN

from taichi_idr.meshes.mesh import Mesh, make_mesh


def ball_mesh(subdivisions: int = 3, scale: float = 1.0) -> Mesh:
    """Both balls, that reach into each other; around ORIGIN, larger or smaller by `scale`."""
    spheres = [trimesh.creation.icosphere(subdivisions, radius=radius) for _, radius in BALLS]
    places = [sphere.vertices + offset for sphere, (offset, _) in zip(spheres, BALLS, strict=True)]
    vertices = ORIGIN + scale * np.concatenate(places)
    count = len(places[0])
    faces = np.concatenate([spheres[0].faces, spheres[1].faces + count]).astype(np.int32)
    return make_mesh(vertices, faces)


def true_colours(vertices: np.ndarray) -> np.ndarray:
    """(V, 3) uint8, as captures.photograph shades the nearer of the two balls."""
    away = [vertices - (ORIGIN + offset) for offset, _ in BALLS]
    off = np.stack([np.abs(np.linalg.norm(d, axis=1) - radius) for d, (_, radius) in zip(away, BALLS, strict=True)])
    normals = [d / radius for d, (_, radius) in zip(away, BALLS, strict=True)]
    nearest = np.where((off[0] <= off[1])[:, None], *normals)
    return (127.5 + 100 * np.clip(nearest, -1, 1)).astype(np.uint8)
