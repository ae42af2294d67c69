"""Binary STL, which slicers take for millimetres."""

from __future__ import annotations

import numpy as np

from .glb import placement
from .mesh import Mesh, face_vectors, unit_vectors

_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])


def stl_bytes(mesh: Mesh) -> bytes:
    """Positions in single precision, each face by itself; a mesh that is farther from zero than it is wide is brought
    there, since nothing in the format can."""
    triangles = np.zeros(len(mesh.faces), _TRIANGLE)
    triangles["normal"] = unit_vectors(face_vectors(mesh.vertices, mesh.faces))
    triangles["corners"] = (mesh.vertices - placement(mesh.vertices).centre)[mesh.faces]
    return b"taichi-idr".ljust(80) + np.uint32(len(triangles)).astype("<u4").tobytes() + triangles.tobytes()
