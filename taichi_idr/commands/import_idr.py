"""Checkpoints of the released IDR code become runs (NET-11)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import __version__, runtime
from ..cameras import paths
from ..cameras.pinhole import quaternions_from_rotations
from ..capture import poses_file, read_capture
from ..config import IdrConfig, make_config
from ..errors import BadInput, CannotCreate, UsageError
from ..fields.mlp_geometry import layer_shapes
from ..fields.radiance import renderer_layer_shapes
from ..files.pth import EPOCH, read_pth
from ..methods.idr.released import from_official
from ..runs.checkpoint import save_checkpoint
from ..runs.folder import RunFolder
from ..types import Cameras

STAND_IN_VIEWS, STAND_IN_DISTANCE, STAND_IN_SIZE = 12, 3.0, 512  # cameras of a run without a capture
_Shapes = list[tuple[int, int]]
"""(inputs, outputs) of every layer."""
_TODO = "use a file of the released IDR code"
_READING = {"normalize": False, "invert_masks": False, "resize_masks": False}


@dataclass(frozen=True)
class _Frame:
    """Cameras (float64, camera -> normalised), T_world_normalised (4, 4), and the photos' folder."""

    cameras: Cameras
    T_world_normalised: np.ndarray
    folder: Path


def import_idr(model_file: Path, cameras_file: Path | None = None, *, out: Path, capture: Path | None = None) -> Path:
    """Write a run of preset `idr` with the networks of ModelParameters/*.pth; `mesh`, `render`, `eval`, `swap` take it.

    Widths, depths, frequencies and mode are read off the tensors' shapes. cameras_file: CamParameters/*.pth, trained
    poses; they need `capture` for the intrinsics, and live in the normalised frame of its cameras_linear_init.npz
    where that is there (the released code trains from it). Without `capture` the mesh stays in the normalised frame,
    and a ring of cameras stands in for the photos'. Returns the run.

    Raises InputMissing, BadInput, UsageError, CannotCreate, WriteFailed.
    """
    if cameras_file is not None and capture is None:
        todo = "add --capture FOLDER"
        raise UsageError("trained cameras without photos", why="their intrinsics are missing", todo=todo)
    runtime.init("cpu")
    official = read_pth(model_file, "model_state_dict")
    epoch = int(official.pop(EPOCH, torch.tensor(0)))
    config = official_config(official, model_file, trained_cameras=cameras_file is not None)
    frame = _stand_in(out) if capture is None else _captured(capture, cameras_file)
    folder = RunFolder(out)
    if folder.exists:
        raise CannotCreate("there is a run already", where=out, todo="choose another --out")
    folder.create()
    with folder.lock():
        _save(folder, config, from_official(official), frame, max(epoch, 0))
        folder.write_config(config)
    return out


def official_config(official: Mapping[str, Tensor], path: Path, *, trained_cameras: bool = False) -> IdrConfig:
    """The settings that tensors of the official names were trained with, as far as their shapes tell.

    Raises BadInput: a name is missing or superfluous, a shape does not fit the others, a value is not finite.
    """
    sdf, renderer = (_weight_shapes(official, network, path) for network in ("implicit_network", "rendering_network"))
    geometry = _geometry_settings(sdf)
    radiance = _radiance_settings(renderer, geometry["features"])
    try:
        config = make_config("idr", [], geometry=geometry, radiance=radiance, cameras={"train": trained_cameras})
        assert isinstance(config, IdrConfig)
        expected = {"implicit_network": layer_shapes(config.geometry)}
    except UsageError as error:
        raise BadInput("no network of preset idr", where=path, why=str(error), todo=_TODO) from error
    expected["rendering_network"] = renderer_layer_shapes(config.radiance, config.geometry.features)
    _check(official, expected, path)
    return config


def _weight_shapes(official: Mapping[str, Tensor], network: str, path: Path) -> _Shapes:
    """As the tensors weight_v have them."""
    shapes: _Shapes = []
    while (weight := official.get(name := f"{network}.lin{len(shapes)}.weight_v")) is not None:
        if weight.ndim != 2:
            raise BadInput(
                "bad tensor", where=f"{path}: {name}", why=f"{weight.ndim} dimensions, expected 2", todo=_TODO
            )
        shapes.append((weight.shape[1], weight.shape[0]))
    if len(shapes) < 2:
        why = "every layer needs weight_g, weight_v and bias, from lin0 on"
        raise BadInput("missing tensor", where=f"{path}: {network}.lin{len(shapes)}.weight_v", why=why, todo=_TODO)
    return shapes


def _geometry_settings(shapes: _Shapes) -> dict[str, Any]:
    """NET-3 from shapes; a layer that takes the encoding beside its predecessor's outputs is the skip layer."""
    encoded, last = shapes[0][0], len(shapes) - 1
    wider = [i for i in range(1, last + 1) if shapes[i][0] == shapes[i - 1][1] + encoded]
    return {
        "position_frequencies": (encoded - 3) // 6,
        "width": shapes[1][0],
        "hidden_layers": last,
        "skip_layer": wider[0] if wider else 0,
        "features": shapes[last][1] - 1,
    }


def _radiance_settings(shapes: _Shapes, features: int) -> dict[str, Any]:
    """NET-6 and NET-7 from shapes: what is left of the inputs beside point and z are view and normal."""
    rest = shapes[0][0] - 3 - features
    sizes = {"width": shapes[1][0], "hidden_layers": len(shapes) - 1}
    if rest == 3:
        return {**sizes, "mode": "no_view_dir"}
    has_normal = rest % 6 == 0
    view = rest - 3 if has_normal else rest
    return {**sizes, "mode": "idr" if has_normal else "no_normal", "view_frequencies": (view - 3) // 6}


def _check(official: Mapping[str, Tensor], networks: Mapping[str, _Shapes], path: Path) -> None:
    """Every tensor of the networks, of its shape, and no other."""
    expected: dict[str, tuple[int, ...]] = {}
    for network, shapes in networks.items():
        for i, (inputs, outputs) in enumerate(shapes):
            parts = {"weight_g": (outputs, 1), "weight_v": (outputs, inputs), "bias": (outputs,)}
            expected |= {f"{network}.lin{i}.{part}": shape for part, shape in parts.items()}
    for name, shape in expected.items():
        if name not in official:
            raise BadInput("missing tensor", where=f"{path}: {name}", why=f"expected shape {shape}", todo=_TODO)
        if (found := tuple(official[name].shape)) != shape:
            raise BadInput("bad tensor", where=f"{path}: {name}", why=f"shape {found}, expected {shape}", todo=_TODO)
        if not torch.isfinite(official[name]).all():
            raise BadInput("bad tensor", where=f"{path}: {name}", why="NaN or infinity in it", todo=_TODO)
    if more := sorted(set(official) - set(expected)):
        raise BadInput("unknown tensor", where=f"{path}: {more[0]}", why="IDR has none of this name", todo=_TODO)


def _captured(folder: Path, cameras_file: Path | None) -> _Frame:
    """The capture's own poses, or the trained ones in the frame that the released code trains them in."""
    if cameras_file is None:
        capture = read_capture(folder)
        return _Frame(capture.cameras, capture.T_world_normalised, folder)
    capture = read_capture(folder, cameras_file=poses_file(folder, None, train=True))
    poses = _poses(cameras_file, len(capture))
    cameras = Cameras(poses[:, :4], poses[:, 4:], capture.cameras.intrinsics)
    return _Frame(cameras, capture.T_world_normalised, folder)


def _poses(path: Path, count: int) -> Tensor:
    """(V, 7) float64: unit quaternion w x y z, camera -> normalised, and centre (CAM-4)."""
    name = "pose_vecs_state_dict"
    poses = read_pth(path, name).get("weight", torch.empty(0)).double()
    where = f"{path}: {name}.weight"
    if tuple(poses.shape) != (count, 7):
        why = f"shape {tuple(poses.shape)}, expected {(count, 7)}: a row for each photo"
        raise BadInput("bad poses", where=where, why=why, todo="use the cameras of this capture")
    lengths = poses[:, :4].norm(dim=1, keepdim=True)
    if not (torch.isfinite(poses).all() and (lengths > 0).all()):
        raise BadInput("bad poses", where=where, why="NaN, infinity or an empty quaternion in it", todo=_TODO)
    return torch.cat([poses[:, :4] / lengths, poses[:, 4:]], dim=1)


def _stand_in(out: Path) -> _Frame:
    """A level ring of cameras around the object, y downwards as the photos of DTU have it; no folder of photos."""
    turns = 2 * math.pi * np.arange(STAND_IN_VIEWS) / STAND_IN_VIEWS
    centres = STAND_IN_DISTANCE * np.stack([np.sin(turns), 0 * turns, -np.cos(turns)], axis=1)
    rotations = np.stack([paths.facing(-centre, np.array([0.0, -1.0, 0.0])) for centre in centres])
    middle = (STAND_IN_SIZE - 1) / 2
    focal = STAND_IN_SIZE * STAND_IN_DISTANCE / 2.4  # the unit sphere fills the picture, nearly
    K = torch.tensor([[focal, 0, middle], [0, focal, middle], [0, 0, 1]], dtype=torch.float64)
    quaternions = quaternions_from_rotations(torch.from_numpy(rotations))
    cameras = Cameras(quaternions, torch.from_numpy(centres), K.repeat(STAND_IN_VIEWS, 1, 1))
    return _Frame(cameras, np.eye(4), out / "no-capture")


def _save(folder: RunFolder, config: IdrConfig, state: Mapping[str, Tensor], frame: _Frame, epoch: int) -> None:
    """The checkpoint; without names of photos no fit goes on with it, for it has no optimiser's state."""
    cameras = frame.cameras
    tensors = {f"model.{name}": value for name, value in state.items()}
    tensors |= {f"cameras.{name}": value for name, value in vars(cameras).items()}
    tensors["T_world_normalised"] = torch.from_numpy(np.ascontiguousarray(frame.T_world_normalised))
    metadata: dict[str, Any] = {
        "version": __version__,
        "config": config.model_dump(),
        "seconds": 0.0,
        "best_psnr_db": None,
        "capture": str(frame.folder.resolve()),
        "reading": _READING,
    }
    save_checkpoint(folder.checkpoints, epoch, tensors, metadata)
