"""Meshes and points from files of any origin."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from ..files.reading import whole
from .files import mesh_kind
from .mesh import Mesh, make_mesh
from .shown import ShownMesh, arrays_of, put_in_capture, shown_mesh

LARGEST = 1e90
"""Size of coordinates up to which, and of a mesh down to whose inverse, volumes can be computed."""
_UNIT = "choose another unit of length"


def read_mesh(path: Path) -> Mesh:
    """Read a closed or open triangle mesh, in the capture's frame where the file says how it was turned; textures and
    materials are not followed.

    Raises InputMissing when the file is absent, BadInput when it holds no usable triangles.
    """
    kind = mesh_kind(path)
    vertices, faces = _parse(_file_bytes(path), kind, path)
    _check(vertices, faces, path)
    mesh = make_mesh(vertices, faces)
    if not mesh.normals.any():
        why = "its triangles have no area: were its coordinates rounded?"
        raise BadInput("unusable mesh", where=path, why=why, todo="re-export it in double precision")
    return mesh


def read_shown(path: Path) -> ShownMesh:
    """A mesh as `read_mesh` has it, with its texture or the colours at its vertices.

    Raises InputMissing, BadInput; also where it has no colours.
    """
    read_mesh(path)  # refuses what cannot be used
    try:
        shown = shown_mesh(path)
    except Exception as error:  # as in _parse
        raise BadInput("unreadable texture", where=path, why=str(error), todo="re-export it") from error
    if shown is None:
        todo = "export it with its texture, or colours at its vertices: .glb, .obj with .mtl, .ply"
        raise BadInput("the mesh has no colours", where=path, todo=todo)
    return shown


def read_points(path: Path) -> np.ndarray:
    """Points (N, 3) float64 of a PLY file, with or without faces. Raises InputMissing, BadInput."""
    import trimesh

    data = _file_bytes(path)
    try:
        loaded: Any = trimesh.load(io.BytesIO(data), file_type="ply", process=False)
        points = np.asarray(loaded.vertices, np.float64).reshape(-1, 3)
    except Exception as error:  # as in _parse
        raise BadInput("unreadable points", where=path, why=f"ply reader: {error}", todo="re-export them") from error
    if len(points) == 0 or not np.isfinite(points).all():
        raise BadInput("unusable points", where=path, why="there are none, or some are not finite")
    if abs(points).max() > LARGEST:
        raise BadInput("unusable points", where=path, why=f"numbers of {abs(points).max():.0e}", todo=_UNIT)
    return points


def _file_bytes(path: Path) -> bytes:
    """The whole file, once a PLY header has been found not to promise more than it holds."""
    data = whole(path, what="mesh cannot be read", todo="re-export it")
    if path.suffix.lower() == ".ply":
        _check_counts(data, path)
    return data


def _parse(data: bytes, kind: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    import trimesh  # late: it takes a while

    options: dict[str, Any] = {"skip_materials": True} if kind == "obj" else {}
    try:
        scene = trimesh.load_scene(io.BytesIO(data), file_type=kind, process=False, resolver=None, **options)
        loaded = put_in_capture(scene).to_mesh()
        return arrays_of(loaded)
    except Exception as error:  # a parser fed with arbitrary bytes may raise anything
        raise BadInput("unreadable mesh", where=path, why=f"{kind} reader: {error}", todo="re-export it") from error


def _check(vertices: np.ndarray, faces: np.ndarray, path: Path) -> None:
    """Raises BadInput where these (V, 3), (F, 3) are no mesh that can be computed with."""
    if len(faces) == 0 or not np.isfinite(vertices).all() or faces.min() < 0 or faces.max() >= len(vertices):
        why = "it has no triangles, vertices that are not finite, or faces beyond the vertices"
        raise BadInput("unusable mesh", where=path, why=why, todo="repair or re-export it")
    largest, extent = abs(vertices).max(), np.ptp(vertices[faces.ravel()], axis=0).max()
    if largest > LARGEST or 0 < extent < 1 / LARGEST:
        why = f"numbers of {largest if largest > LARGEST else extent:.0e}"
        raise BadInput("unusable mesh", where=path, why=why, todo=_UNIT)


def _check_counts(data: bytes, path: Path) -> None:
    """Refuse a header that promises more elements than the file has bytes, before anything is allocated for
    them."""
    header, end, _ = data.partition(b"end_header")
    counts = [int(n) for n in re.findall(rb"element \w+ (\d{1,30})\s", header)]
    if not end or any(n > len(data) for n in counts):
        why = f"the header promises {max(counts, default=0)} elements, the file has {len(data)} bytes"
        raise BadInput("unreadable mesh", where=path, why=why, todo="re-export it")
