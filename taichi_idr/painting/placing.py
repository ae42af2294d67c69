"""Where a mesh is among the cameras that are to paint it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..cameras.focus import nearest_point
from ..cameras.pinhole import projections
from ..cameras.rotations import rotation_matrices
from ..errors import BadInput
from ..meshes.mesh import Mesh
from ..types import Capture

LEAST_SHARE = 0.5
"""Of silhouettes that a mesh covers, and of the mesh that lies in them, below which something is said."""
LEAST_OF_PHOTOS = 0.01
"""Of photos without silhouettes."""
POINTS = 4096  # vertices that are looked at
_TODO = "is the mesh in the capture's frame and unit?"


def mesh_frame(mesh: Mesh) -> np.ndarray:
    """T_world_normalised (4, 4) in which the mesh lies in the unit sphere around the middle of its box."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    T = np.eye(4)
    T[:3, 3] = (low + high) / 2
    T[:3, :3] *= np.linalg.norm(mesh.vertices - T[:3, 3], axis=1).max()
    return T


def pixel_footprint(mesh: Mesh, capture: Capture) -> float:
    """Length of a pixel at the mesh, in its unit: median over vertices and photos, all in one frame.

    Raises BadInput where no vertex is in front of a camera and in its picture.
    """
    vertices = torch.from_numpy(mesh.vertices[:: max(len(mesh.vertices) // POINTS, 1)])
    depth, inside = _in_pictures(vertices, capture)
    if not bool(inside.any()):
        raise BadInput("no photo sees the mesh", where=capture.folder, why=_whereabouts(capture), todo=_TODO)
    focal = capture.cameras.intrinsics[:, [0, 1], [0, 1]].mean(dim=1)
    return float((depth / focal[:, None])[inside].median())


def check_seen(pixels: Tensor, samples: int, capture: Capture) -> list[str]:
    """What is odd about pixels (views, 3): those that meet the mesh, those of the object, both.

    Raises BadInput where no pixel (of `samples`) tells a colour.
    """
    met, objects, both = pixels.sum(dim=0).tolist()
    if samples == 0:
        why = "the mesh is nowhere in the silhouettes" if met and not both else _whereabouts(capture)
        raise BadInput("no photo sees the mesh", where=capture.folder, why=why, todo=_TODO)
    if all(mask.all() for mask in capture.masks):
        small = both < LEAST_OF_PHOTOS * objects
        return [f"the mesh covers {both / objects:.1%} of the photos: {_TODO}"] if small else []
    if both >= LEAST_SHARE * max(met, objects):
        return []
    inside, covered = both / met, both / objects
    return [
        f"{inside:.0%} of what photos see of the mesh lies in silhouettes, and covers {covered:.0%} of them: {_TODO}"
    ]


def _in_pictures(vertices: Tensor, capture: Capture) -> tuple[Tensor, Tensor]:
    """Of vertices (N, 3) the depth along the optical axis in each view (V, N), and whether they are in its picture."""
    P = projections(capture.cameras)
    places = torch.einsum("vij,nj->vni", P[:, :, :3], vertices) + P[:, None, :, 3]
    depth = places[..., 2]
    sizes = torch.tensor([mask.shape[::-1] for mask in capture.masks])
    pixel = places[..., :2] / depth[..., None]
    inside = (depth > 0) & (pixel >= -0.5).all(dim=2) & (pixel < sizes[:, None] - 0.5).all(dim=2)
    return depth, inside


def _whereabouts(capture: Capture) -> str:
    """Of the mesh and of what cameras look at, in the world frame."""
    T = capture.T_world_normalised
    forward = rotation_matrices(capture.cameras.quaternions)[:, :, 2].numpy()
    focus = T[:3, :3] @ nearest_point(capture.cameras.centres.numpy(), forward) + T[:3, 3]
    return f"the mesh reaches {T[0, 0]:.4g} around {_place(T[:3, 3])}, the cameras look at {_place(focus)}"


def _place(point: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in point) + ")"
