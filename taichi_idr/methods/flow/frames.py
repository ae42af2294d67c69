"""A frame of a sequence as a closed mesh: read, or drawn around the points of a cloud."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy import ndimage

from ...clouds.cleaning import cleaned
from ...clouds.cloud import Cloud
from ...clouds.normals import local_planes
from ...clouds.orientation import lattice_for, oriented
from ...clouds.reading import read_cloud
from ...errors import BadInput, TidrError, warn
from ...files.reading import head_of
from ...meshes.files import is_mesh
from ...meshes.isosurface import SurfaceBuilder
from ...meshes.mesh import Mesh, make_mesh, without_crumbs
from ...meshes.sequences import MeshSequence, closed_mesh
from .settings import FlowCloudConfig

RADIUS = 0.8  # of the cloud in the ball whose inside is asked for
LEAST_SHARE = 0.01  # of the largest body's volume: what encloses less is strays
HEADER_BYTES = 1 << 16


def read_frames(files: list[Path], config: FlowCloudConfig) -> MeshSequence:
    """Meshes, and clouds as the closed surfaces that their points lie on. Raises InputMissing, BadInput."""
    return MeshSequence([path.name for path in files], [_frame(path, config) for path in files])


def _frame(path: Path, config: FlowCloudConfig) -> Mesh:
    if is_mesh(path) and not _is_bare(path):
        return closed_mesh(path)
    try:
        return surrounding(read_cloud(path), config, path)
    except TidrError as error:
        if error.where is not None:
            raise
        raise type(error)(error.what, where=path, why=error.why, todo=error.todo) from error


def surrounding(cloud: Cloud, config: FlowCloudConfig, where: Path) -> Mesh:
    """The closed surface that points lie on, which need no normals, as fine as the lattice of Poisson's equation.

    Crumbs are left out. Warns, naming the file `where`, where points do not say what is inside. Raises BadInput.
    """
    points = cleaned(cloud, most=config.points, count=config.neighbours, apart=config.apart).cloud
    middle = (points.points.min(axis=0) + points.points.max(axis=0)) / 2
    scale = float(np.linalg.norm(points.points - middle, axis=1).max()) / RADIUS
    places = ((points.points - middle) / scale).astype(np.float32)
    planes = local_planes(places)
    found = oriented(places, planes, points.normals, lattice_for(planes.spacing, config.lattice))
    if not found.settled:
        warn(f"{where}: the cloud does not say everywhere what is inside: look at the result, or scan it more densely")
    builder = SurfaceBuilder()
    builder.add(ndimage.gaussian_filter(np.where(found.inside, -0.5, 0.5).astype(np.float32), 1.0))
    vertices, faces = builder.finish()
    if len(faces) == 0:
        todo = "scan the object from all sides, or give normals"
        raise BadInput("points without an inside", where=where, why="they do not say where it is", todo=todo)
    vertices, faces = without_crumbs(vertices, faces, LEAST_SHARE)
    return make_mesh((vertices * 2 / len(found.inside) - 1) * scale + middle, faces)


def _is_bare(path: Path) -> bool:
    """Whether it is a PLY file without faces."""
    if path.suffix.lower() != ".ply":
        return False
    header, end, _ = head_of(path, HEADER_BYTES).partition(b"end_header")
    faces = re.search(rb"element face (\d{1,18})\s", header)
    return bool(end) and (faces is None or int(faces[1]) == 0)
