"""Closed meshes of known shapes, and folders of them over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from taichi_idr.meshes.mesh import Mesh, make_mesh
from taichi_idr.meshes.writing import write_mesh


def ball(radius: float = 1.0, centre: tuple[float, float, float] = (0.0, 0.0, 0.0), subdivisions: int = 3) -> Mesh:
    found = trimesh.creation.icosphere(subdivisions, radius)
    return make_mesh(np.asarray(found.vertices) + centre, np.asarray(found.faces, np.int32))


def box(extents: tuple[float, float, float]) -> Mesh:
    found = trimesh.creation.box(extents)
    return make_mesh(np.asarray(found.vertices, np.float64), np.asarray(found.faces, np.int32))


def joined(*meshes: Mesh) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]
    return make_mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces).astype(np.int32))


def turned_round(mesh: Mesh) -> Mesh:
    """Its faces look the other way."""
    return make_mesh(mesh.vertices, np.ascontiguousarray(mesh.faces[:, ::-1]))


def write_sequence(folder: Path, meshes: list[Mesh], name: str = "frame{}.ply") -> Path:
    """One file a mesh, numbers without leading zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, mesh in enumerate(meshes):
        write_mesh(folder / name.format(number), mesh)
    return folder
