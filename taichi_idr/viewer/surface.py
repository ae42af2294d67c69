"""The mesh that a viewer shows: one that the run has, if it is fresh; not more than a browser turns smoothly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import TidrError, warn
from ..meshes.decimation import decimated
from ..meshes.mesh import Mesh, make_mesh, transformed
from ..meshes.ply import read_extraction
from ..meshes.reading import read_shown
from ..meshes.shown import ShownMesh
from ..meshes.texture import Atlas, Texture
from ..nearest import tree_of
from ..runs.checkpoint import Checkpoint
from ..runs.folder import RunFolder

MOST_FACES = 200_000
GREY = 200  # of vertices whose colour is not known


def fresh_mesh(folder: RunFolder, checkpoint: Checkpoint, T_world_normalised: np.ndarray) -> Mesh | None:
    """The light mesh of a run, or its fine one with fewer faces, in the normalised frame; None where neither is of that
    checkpoint. One that cannot be shown is a warning."""
    light, fine = folder.mesh / "light.glb", folder.mesh / "mesh.ply"
    extraction = read_extraction(fine)
    shown = _readable(light) if _is_newer(light, checkpoint.path) else None
    if shown is None and extraction is not None and extraction.step == checkpoint.step:
        shown = _readable(fine)
    return transformed(few_faces(shown), np.linalg.inv(T_world_normalised)) if shown is not None else None


def few_faces(shown: ShownMesh, most: int = MOST_FACES) -> Mesh:
    """With at most about that many faces, smooth across seams. A texture stays where no face is taken away; else
    vertices have the colour of what was nearest to them."""
    mesh, first, number = _welded(shown.mesh)
    if len(mesh.faces) <= most:
        normals = mesh.normals[number]
        whole = replace(shown.mesh, normals=normals)
        return replace(whole, colours=None, texture=_texture(shown)) if _has_one_picture(shown) else whole
    light = decimated(mesh, most)
    nearest = tree_of(mesh.vertices).query(light.vertices)[1]
    return replace(light, colours=_corner_colours(shown)[first[nearest]])


def _readable(file: Path) -> ShownMesh | None:
    try:
        return read_shown(file)
    except TidrError as error:
        warn(f"not shown: {error}")
        return None


def _is_newer(file: Path, than: Path) -> bool:
    try:
        return file.stat().st_mtime >= than.stat().st_mtime
    except OSError:
        return False


def _welded(mesh: Mesh) -> tuple[Mesh, np.ndarray, np.ndarray]:
    """With one vertex at each of W places; which of the given vertices that is (W,), and for those which it is (V,)."""
    vertices, first, number = np.unique(mesh.vertices, axis=0, return_index=True, return_inverse=True)
    number = number.reshape(-1)
    return make_mesh(vertices, number[mesh.faces].astype(np.int32)), first, number


def _has_one_picture(shown: ShownMesh) -> bool:
    return len(shown.pictures) == 1 and bool((shown.picture == 0).all())


def _texture(shown: ShownMesh) -> Texture:
    """Files have a vertex of its own wherever a place in the picture differs."""
    picture = shown.pictures[0]
    height, width = picture.shape[:2]
    uv = np.zeros((len(shown.mesh.vertices), 2))
    uv[shown.mesh.faces] = shown.places
    vertex = np.arange(len(uv), dtype=np.int32)
    return Texture(Atlas(uv * (width, height) - 0.5, shown.mesh.faces, vertex, height, width, 0.0), picture)


def _corner_colours(shown: ShownMesh) -> np.ndarray:
    """Colours (V, 3) uint8 of vertices, of the texture where there is one."""
    known = shown.mesh.colours
    colours = np.full((len(shown.mesh.vertices), 3), GREY, np.uint8) if known is None else known.copy()
    for number, picture in enumerate(shown.pictures):
        on = shown.picture == number
        size = np.array(picture.shape[1::-1])
        column, row = np.clip((shown.places[on] * size).astype(int), 0, size - 1).reshape(-1, 2).T
        colours[shown.mesh.faces[on].reshape(-1)] = picture[row, column]
    return colours
