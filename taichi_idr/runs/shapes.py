"""An occupancy network on disk: its settings, what it knows of its shapes, and all that training needs to go on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput, InputMissing, warn
from ..files.writing import atomic_write
from ..meshes.mesh import Mesh
from ..methods.shapes.network import OccupancyModel, occupancy_model
from ..methods.shapes.settings import ShapesConfig
from ..settings import flattened, to_toml, validated
from ..state import unprefixed
from .checkpoint import load_newest, refuse_not_finite, save_checkpoint, taken_apart
from .folder import SHAPES_SETTINGS

STATE = "state"
MAY_DIFFER = ("schedule.steps", "schedule.checkpoint_interval", "surface.", "preset")
"""Settings of a run that goes on."""


@dataclass(frozen=True)
class KnownShapes:
    """What a run keeps of its S shapes. digests: of their meshes; frames (S, 4, 4): from each one's normalised frame to
    its file's; points (S, K, 3), inside (S, K), 0 or 1: what codes are made of; places (S, Q, 3): on the surface."""

    names: list[str]
    digests: list[str]
    frames: np.ndarray
    points: Tensor
    inside: Tensor
    places: Tensor


@dataclass(frozen=True)
class LoadedShapes:
    """A run as its newest checkpoint has it. tensors: of a trainer's state."""

    config: ShapesConfig
    known: KnownShapes
    step: int
    tensors: dict[str, Tensor]

    def model(self, device: torch.device) -> OccupancyModel:
        """The network, for questions."""
        model = occupancy_model(self.config, len(self.known.names), device, torch.Generator())
        model.load_state_dict(unprefixed("model", self.tensors))
        return model.eval()


def save_shapes(folder: Path, config: ShapesConfig, known: KnownShapes, step: int, state: dict[str, Tensor]) -> None:
    """Raises CannotCreate, WriteFailed; what was there before is then as it was."""
    kept = {"known.points": known.points, "known.inside": known.inside, "known.places": known.places}
    shapes = {"names": known.names, "digests": known.digests, "frames": known.frames.tolist()}
    save_checkpoint(folder / STATE, step, state | kept, {"config": config.model_dump(mode="json"), **shapes}, keep=1)
    atomic_write(folder / SHAPES_SETTINGS, to_toml(config))


def load_shapes(folder: Path) -> LoadedShapes:
    """Raises InputMissing, BadInput where it is not whole."""
    checkpoint = load_newest(folder / STATE, warn)
    if checkpoint is None:
        raise InputMissing("no network", where=folder, todo="make one: tidr shapes MESH --out RUN")
    refuse_not_finite(checkpoint)
    metadata, tensors = checkpoint.metadata, checkpoint.tensors
    with taken_apart(checkpoint, todo="use --fresh"):
        config = validated(ShapesConfig, metadata["config"], BadInput, f"{checkpoint.path}: {{}}".format)
        kept = [tensors.pop(f"known.{name}") for name in ("points", "inside", "places")]
        frames = np.array(metadata["frames"], np.float64)
        known = KnownShapes(list(metadata["names"]), list(metadata["digests"]), frames, *kept)
        counts = {len(known.names), len(known.digests), len(frames), *map(len, kept)}
        if len(counts) != 1 or frames.shape[1:] != (4, 4):
            raise ValueError(f"of {' or '.join(map(str, sorted(counts)))} shapes")
        loaded = LoadedShapes(config, known, checkpoint.step, tensors)
        loaded.model(torch.device("cpu"))  # whose tensors are those of these settings
    return loaded


def digest(mesh: Mesh) -> str:
    """Tells meshes apart: of positions and faces."""
    return hashlib.sha256(mesh.vertices.tobytes() + mesh.faces.tobytes()).hexdigest()


def check_goes_on(loaded: LoadedShapes, config: ShapesConfig, digests: list[str], where: Path) -> None:
    """Raises BadInput where the run was begun with other meshes or settings, naming them."""
    now, then = (flattened(one.model_dump(mode="json")) for one in (config, loaded.config))
    differing = [key for key in now if now[key] != then.get(key) and not key.startswith(MAY_DIFFER)]
    differing += ["meshes"] if digests != loaded.known.digests else []
    if differing:
        why, todo = f"it was begun with other {', '.join(differing)}", "use the same, another --out, or --fresh"
        raise BadInput("cannot go on with this run", where=where, why=why, todo=todo)
