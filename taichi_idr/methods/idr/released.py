"""Checkpoints of the released code (NET-11): their names for our parameters, and back; settings; trained cameras."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...capture.formats.idr import poses_file
from ...capture.reading import read_capture
from ...errors import BadInput, UsageError
from ...fields.mlp_geometry import layer_shapes
from ...fields.radiance import renderer_layer_shapes
from ...files.pth import EPOCH, read_pth
from ...settings import merged, validated
from ...types import Cameras, Capture, CaptureReading
from .settings import IdrConfig

_NETWORKS = {"geometry": "implicit_network", "radiance": "rendering_network"}
_OURS = {official: ours for ours, official in _NETWORKS.items()}
_OUR_NAME = re.compile(r"(geometry|radiance)\.layers\.(\d+)\.(weight_g|weight_v|bias)")
_OFFICIAL_NAME = re.compile(r"(implicit_network|rendering_network)\.lin(\d+)\.(weight_g|weight_v|bias)")

_Shapes = list[tuple[int, int]]
"""(inputs, outputs) of every layer."""
_TODO = "use a file of the released IDR code"


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`geometry.layers.3.weight_g` -> `implicit_network.lin3.weight_g`; parameters of other names are left out."""
    found = [(_OUR_NAME.fullmatch(name), value) for name, value in state.items()]
    return {f"{_NETWORKS[m[1]]}.lin{m[2]}.{m[3]}": value for m, value in found if m}


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of `to_official`; other names are left out."""
    found = [(_OFFICIAL_NAME.fullmatch(name), value) for name, value in state.items()]
    return {f"{_OURS[m[1]]}.layers.{m[2]}.{m[3]}": value for m, value in found if m}


def read_released(path: Path, *, trained_cameras: bool) -> tuple[IdrConfig, dict[str, Tensor], int]:
    """Settings, parameters by our names, and epoch of a file of ModelParameters.

    Raises InputMissing, BadInput: no file of the released code, or of networks that preset `idr` does not have.
    """
    official = read_pth(path, "model_state_dict")
    epoch = int(official.pop(EPOCH, torch.tensor(0)))
    return official_config(official, path, trained_cameras=trained_cameras), from_official(official), max(epoch, 0)


def read_trained_capture(folder: Path, cameras_file: Path | None) -> Capture:
    """A capture with its own poses or, of a file of CamParameters, with the trained ones, in the frame that the
    released code trains them in: that of the rough poses, where there are any. Raises InputMissing, BadInput."""
    if cameras_file is None:
        return read_capture(folder)
    reading = CaptureReading(cameras_file=poses_file(folder, None, train=True))
    capture = read_capture(folder, reading)
    poses = _poses(cameras_file, len(capture))
    return replace(capture, cameras=Cameras(poses[:, :4], poses[:, 4:], capture.cameras.intrinsics))


def official_config(official: Mapping[str, Tensor], path: Path, *, trained_cameras: bool = False) -> IdrConfig:
    """The settings that tensors of the official names were trained with, as far as their shapes tell.

    Raises BadInput: a name is missing or superfluous, a shape does not fit the others, a value is not finite.
    """
    sdf, renderer = (_weight_shapes(official, network, path) for network in ("implicit_network", "rendering_network"))
    geometry = _geometry_settings(sdf)
    radiance = _radiance_settings(renderer, geometry["features"])
    try:
        tree = {"geometry": geometry, "radiance": radiance, "cameras": {"train": trained_cameras}}
        config = validated(IdrConfig, merged(IdrConfig().model_dump(), tree), UsageError, "--set {}".format)
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
