"""Meshes over time, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInput
from .mesh import Mesh, make_mesh, topology_by_position, volume
from .reading import read_mesh

OTHER_UNIT = 3.0  # times longer than its neighbour, a frame's box may be in another unit


@dataclass(frozen=True)
class MeshSequence:
    """Closed meshes (K, two at least) at even times from 0 to 1, in one frame and unit; names of their files."""

    names: list[str]
    meshes: list[Mesh]

    def __len__(self) -> int:
        return len(self.meshes)

    @property
    def times(self) -> np.ndarray:
        """(K,) float64."""
        return np.linspace(0, 1, len(self.meshes))

    def unlike_first(self) -> str | None:
        """Name of a mesh that has not the faces of the first; None where a vertex is the same place at all times."""
        first = self.meshes[0]
        for name, mesh in zip(self.names, self.meshes, strict=True):
            if len(mesh.vertices) != len(first.vertices) or not np.array_equal(mesh.faces, first.faces):
                return name
        return None

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest corner (3,) of all meshes together."""
        boxes = [_box(mesh) for mesh in self.meshes]
        return np.min([low for low, _ in boxes], axis=0), np.max([high for _, high in boxes], axis=0)

    def doubts(self) -> list[str]:
        """In words, which neighbours in time may be in different frames or units."""
        boxes = [_box(mesh) for mesh in self.meshes]
        found = []
        for k in range(len(boxes) - 1):
            why = _doubt(boxes[k], boxes[k + 1])
            found += [f"{self.names[k]} and {self.names[k + 1]}: {why}; are they in one frame and unit?"] if why else []
        return found


def closed_mesh(path: Path) -> Mesh:
    """A mesh that has an inside, faces outward. Raises InputMissing, BadInput."""
    mesh = read_mesh(path)
    _, found = topology_by_position(mesh.vertices, mesh.faces)
    if not found.closed:
        why = "some edges have no second face, or a face that looks the other way"
        raise BadInput("mesh is not closed", where=path, why=why, todo="close it, so that something is inside")
    turned = volume(mesh.vertices, mesh.faces) < 0
    return make_mesh(mesh.vertices, np.ascontiguousarray(mesh.faces[:, ::-1])) if turned else mesh


def _box(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    return mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)


def _doubt(here: tuple[np.ndarray, np.ndarray], there: tuple[np.ndarray, np.ndarray]) -> str:
    """Why two boxes may be in different frames; empty where nothing says so."""
    if (np.maximum(here[0], there[0]) > np.minimum(here[1], there[1])).any():
        return "their boxes have nothing in common"
    sizes = [float(np.linalg.norm(high - low)) for low, high in (here, there)]
    if max(sizes) > OTHER_UNIT * min(sizes):
        return f"one is {max(sizes) / min(sizes):.3g} times as large as the other"
    return ""
