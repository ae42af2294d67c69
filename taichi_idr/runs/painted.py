"""A painted mesh on disk: beside its files the network of its colours, from which it is rendered again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..cameras.pinhole import is_similarity
from ..errors import BadInput, InputMissing, warn
from ..meshes.mesh import Mesh, transformed
from ..meshes.reading import read_mesh
from ..painting.model import PaintedMesh
from ..painting.networks import colour_network
from ..painting.settings import PaintConfig
from ..settings import validated
from ..state import alike, joined, unprefixed
from ..tracing.triangles import Surface
from .checkpoint import Checkpoint, load_newest, refuse_not_finite, save_checkpoint, taken_apart

MESH, STATE = "mesh.ply", "state"
_TODO = "paint it again: tidr paint MESH CAPTURE"


@dataclass(frozen=True)
class LoadedPainting:
    """painted: in its normalised frame; lights: names of its lighting conditions, `painted.light` is a number among
    them; T_world_normalised (4, 4)."""

    painted: PaintedMesh
    lights: list[str]
    T_world_normalised: np.ndarray


def save_painted(
    folder: Path, painted: PaintedMesh, config: PaintConfig, lights: list[str], T_world_normalised: np.ndarray
) -> Path:
    """Write what `load_painted` needs beside `folder`/mesh.ply. Raises CannotCreate, WriteFailed."""
    seen = {"vertices": painted.seen_vertices, "faces": painted.seen_faces}
    parts = {"network": painted.network.state_dict(), "seen": seen}
    metadata = {"config": config.model_dump(), "lights": lights, "frame": T_world_normalised.tolist()}
    normals = torch.from_numpy(painted.surface.mesh.normals)  # as given; readers of meshes work out their own
    tensors = {**joined(parts), "centres": painted.centres, "normals": normals}
    return save_checkpoint(folder / STATE, config.schedule.steps, tensors, metadata, keep=1)


def load_painted(folder: Path) -> LoadedPainting:
    """A painted mesh that `tidr paint` wrote, for pictures from anywhere in any of its lights.

    >>> loaded = load_painted(painted)
    >>> view = render_view(loaded.painted, cameras[[0]], height=24, width=32)
    >>> view.colour.shape
    (24, 32, 3)

    Raises InputMissing, BadInput where it is not whole.
    """
    checkpoint = load_newest(folder / STATE, warn)
    if checkpoint is None:
        raise InputMissing("no painted mesh", where=folder, todo=_TODO)
    refuse_not_finite(checkpoint)
    mesh = read_mesh(folder / MESH)
    with taken_apart(checkpoint, todo=_TODO):
        return _of_checkpoint(checkpoint, folder, mesh)


def _of_checkpoint(checkpoint: Checkpoint, folder: Path, mesh: Mesh) -> LoadedPainting:
    """mesh: in its own frame. Raises BadInput, and what its parts raise of what is not as `save_painted` wrote it."""
    metadata, tensors = checkpoint.metadata, checkpoint.tensors
    config = validated(PaintConfig, metadata["config"], BadInput, f"{checkpoint.path}: {{}}".format)
    T = np.array(metadata["frame"], np.float64)
    if not is_similarity(T):
        raise ValueError("a frame that is no similarity")
    mesh = transformed(mesh, np.linalg.inv(T))
    seen = [tensors[name] for name in ("seen.vertices", "seen.faces")]
    if [len(part) for part in seen] != [len(mesh.vertices), len(mesh.faces)]:
        raise BadInput("mesh has changed", where=folder / MESH, why="it has other vertices or faces", todo=_TODO)
    normals = alike(tensors["normals"], torch.from_numpy(mesh.normals))
    surface = Surface(replace(mesh, normals=normals.cpu().numpy()))
    seen = [part.to(surface.faces.device) for part in seen]
    network = colour_network(config, len(metadata["lights"]), surface.faces.device, torch.Generator())
    network.load_state_dict(unprefixed("network", tensors))
    return LoadedPainting(PaintedMesh(surface, network, tensors["centres"], *seen), metadata["lights"], T)
