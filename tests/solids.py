"""Closed meshes of known shapes, and files of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from taichi_idr.meshes.mesh import Mesh, make_mesh

RADII = (0.7, 0.25)  # of the torus


def ball(radius: float = 1.0, centre: tuple[float, float, float] = (0, 0, 0), subdivisions: int = 3) -> Mesh:
    return _mesh(trimesh.creation.icosphere(subdivisions, radius), centre)


def torus() -> Mesh:
    return _mesh(trimesh.creation.torus(*RADII, major_sections=64, minor_sections=32))


def box(size: tuple[float, float, float], centre: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    return _mesh(trimesh.creation.box(size), centre)


def both(first: Mesh, second: Mesh) -> Mesh:
    """One mesh of two."""
    faces = np.concatenate([first.faces, second.faces + len(first.vertices)])
    return make_mesh(np.concatenate([first.vertices, second.vertices]), faces)


def turned(mesh: Mesh, which: slice = slice(None)) -> Mesh:
    """Some of its faces look the other way."""
    faces = mesh.faces.copy()
    faces[which] = faces[which, ::-1]
    return make_mesh(mesh.vertices, faces)


def opened(mesh: Mesh, *faces: int) -> Mesh:
    """Without these faces."""
    return make_mesh(mesh.vertices, np.delete(mesh.faces, faces, axis=0))


def write(path: Path, mesh: Mesh) -> Path:
    """In the format of the suffix."""
    trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(path)
    return path


def _mesh(shape: trimesh.Trimesh, centre: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    return make_mesh(np.asarray(shape.vertices, float) + centre, np.asarray(shape.faces, np.int32))
