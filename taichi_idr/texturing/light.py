"""A mesh to take away: fewer faces, with pictures on them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..meshes import mesh as meshes
from ..meshes.decimation import decimated, distance_added
from ..meshes.mesh import Mesh
from ..meshes.texture import Texture
from ..meshes.wanted import LightOptions
from ..ops.first_triangle import first_triangle
from ..ops.triangle_tree import TriangleTree
from ..types import Rays

CLEAR = 0.02  # of the least thickness: rays begin so far below their own face


@dataclass(frozen=True)
class LightReport:
    """What became of a fine mesh. distance, most: mean and greatest distance of the fine mesh's vertices from the light
    one, its unit; volume: enclosed, in cubes of the unit; sample: step of the fine mesh's lattice, nearly, its unit;
    texels: width and height of the texture, None without; apart: of its charts, texels."""

    faces: int
    closed: bool
    distance: float
    most: float
    volume: float
    sample: float
    texels: tuple[int, int] | None
    apart: float
    seconds: float


def light_mesh(
    fine: Mesh,
    options: LightOptions,
    *,
    texture: Callable[[Mesh], Texture],
    colours: Callable[[Mesh], np.ndarray],
) -> tuple[Mesh, LightReport]:
    """The light mesh of a fine one, in its frame, and what is true of it.

    texture, colours: of a light mesh, in the same frame; the colours at its vertices.
    """
    began = time.perf_counter()
    light = replace(fine if options.faces is None else decimated(fine, options.faces), extraction=None)
    distance, most = distance_added(light, fine)
    if options.has_texture:
        light = replace(light, texture=texture(light))
    if not options.has_texture or ".ply" in options.suffixes:
        light = replace(light, colours=colours(light))
    made = light.texture
    return light, LightReport(
        faces=len(light.faces),
        closed=meshes.topology(light.faces, len(light.vertices)).closed,
        distance=distance,
        most=most,
        volume=meshes.volume(light.vertices, light.faces),
        sample=sample_step(fine),
        texels=made and (made.atlas.width, made.atlas.height),
        apart=made.atlas.apart if made else 0.0,
        seconds=time.perf_counter() - began,
    )


def sample_step(fine: Mesh) -> float:
    """Of the lattice that a mesh was drawn in: marching cubes leave about two faces for each of its squares."""
    return (2 * meshes.area(fine.vertices, fine.faces) / len(fine.faces)) ** 0.5


def thin_share(mesh: Mesh, least: float) -> float:
    """Share of the surface behind which there is another within `least`, the mesh's unit: of the middles of faces, by
    area."""
    vectors = meshes.face_vectors(mesh.vertices, mesh.faces)
    areas = np.linalg.norm(vectors, axis=1)
    inward = -meshes.unit_vectors(vectors)
    middles = mesh.vertices[mesh.faces].mean(axis=1)
    tree = TriangleTree.build(torch.from_numpy(mesh.vertices[mesh.faces]))
    start = torch.from_numpy(middles + inward * least * CLEAR).to(tree.triangles.device)
    depth, _ = first_triangle(Rays(start, torch.from_numpy(inward).to(start)), tree)
    return float(areas[(depth < least * (1 - CLEAR)).cpu().numpy()].sum() / areas.sum())
