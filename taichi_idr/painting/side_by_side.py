"""Pictures of several coloured meshes beside each other, for films."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..cameras.rotations import facing, quaternions_from_rotations
from ..meshes.mesh import Mesh
from ..pictures.colours import eight_bit
from ..pictures.rendering import render_view
from ..tracing.triangles import Surface
from ..types import Cameras
from .coloured import ColouredMesh

DISTANCE = 4.0  # of the camera from the origin, in radii of what it watches
ASIDE = 0.45  # how far off the axis it stands, so that three sides are seen
FILLED = 0.92  # of the picture, by what it watches
GREY = 0.75  # of meshes without colours


def watching(places: np.ndarray, size: int) -> Cameras:
    """A camera (float64) before the broadest side of places (N, 3) around the origin, which just fit in its picture of
    size x size pixels; y upwards, or z where y is the axis of sight."""
    extent = np.ptp(places, axis=0)
    axis = int(extent.argmin())
    direction = np.full(3, ASIDE)
    direction[axis] = 1.0
    centre = DISTANCE * float(np.linalg.norm(extent)) / 2 * direction / np.linalg.norm(direction)
    rotation = facing(-centre, np.eye(3)[2 if axis == 1 else 1])
    seen = (places - centre) @ rotation
    middle = (size - 1) / 2
    focal = FILLED * middle / float(np.abs(seen[:, :2] / seen[:, 2:]).max())
    K = torch.tensor([[[focal, 0, middle], [0, focal, middle], [0, 0, 1]]], dtype=torch.float64)
    quaternion = quaternions_from_rotations(torch.from_numpy(rotation[None]))
    return Cameras(quaternion, torch.from_numpy(centre[None]), K)


def side_by_side(meshes: Sequence[Mesh], camera: Cameras, size: int) -> np.ndarray:
    """Picture (size, M size, 3) uint8 of M meshes, each seen by the camera; those without colours are grey."""
    pictures = [render_view(_coloured(mesh), camera, size, size, smooth=True).colour for mesh in meshes]
    return eight_bit(np.concatenate(pictures, axis=1))


def _coloured(mesh: Mesh) -> ColouredMesh:
    surface = Surface(mesh)
    if mesh.colours is None:
        return ColouredMesh(surface, torch.full(mesh.vertices.shape, GREY))
    return ColouredMesh(surface, torch.from_numpy(mesh.colours) / 255)
