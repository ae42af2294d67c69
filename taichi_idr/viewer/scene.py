"""What a viewer shows of a run: mesh, cameras before and after, photos and previews; plain data."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..cameras.alignment import align_cameras
from ..cameras.paths import mean_up
from ..cameras.pinhole import transform_cameras
from ..cameras.rotations import rotation_matrices
from ..capture.formats.catalogue import find_capture
from ..errors import BadInput, TidrError, warn
from ..meshes.mesh import Mesh
from ..methods.catalogue import method_of
from ..methods.method import Need
from ..poses.history import HISTORY_FILE, read_history
from ..runs.checkpoint import load_newest, refuse_not_finite, taken_apart
from ..runs.contents import MODEL_PARTS, Origin, read_contents
from ..runs.folder import RunFolder, open_run
from ..types import Cameras
from .surface import fresh_mesh

PHOTO, CROWDED, NEAR = 0.15, 0.6, 0.25
"""Photos are drawn PHOTO high, or CROWDED by the root of their number where that is less, and NEAR at most before their
cameras; all in distances of the camera."""
_PREVIEW = re.compile(r"(\d+)_view(\d+)\.png")


@dataclass(frozen=True)
class Frustum:
    """A camera as it is drawn. name: of its photo; quaternion (4,) w x y z and centre (3,): camera -> normalised; fov:
    radians from the photo's upper edge to its lower; aspect: its width by its height; photo: file, if it is there."""

    name: str
    quaternion: np.ndarray
    centre: np.ndarray
    fov: float
    aspect: float
    photo: Path | None = None

    def corners(self, depth: float) -> np.ndarray:
        """Centre, then upper left, upper right, lower right, lower left of the photo (5, 3) at that depth."""
        high = depth * math.tan(self.fov / 2)
        wide = self.aspect * high
        rim = np.array(
            [[0, 0, 0], [-wide, -high, depth], [wide, -high, depth], [wide, high, depth], [-wide, high, depth]]
        )
        return rim @ _rotation(self.quaternion).T + self.centre


@dataclass(frozen=True)
class PreviewFile:
    """photo | rendering | normals of one view as a picture, at a step of the fit."""

    step: int
    view: int
    file: Path


@dataclass(frozen=True)
class Scene:
    """What is shown, in the normalised frame of a run.

    mesh: with a texture or colours at its vertices, None before there is one. before: cameras as the fit was given
    them, where it has trained them, moved by what all have in common (CAM-9). up (3,): unit vector.
    T_world_normalised: (4, 4).
    """

    name: str
    step: int
    mesh: Mesh | None
    cameras: list[Frustum]
    before: list[Frustum]
    previews: list[PreviewFile]
    up: np.ndarray
    T_world_normalised: np.ndarray

    def depth(self, camera: Frustum) -> float:
        """Before a camera, at which its photo is drawn: many are small, so that the object is seen between them."""
        high = min(PHOTO, CROWDED / math.sqrt(max(len(self.cameras), 1)))
        return min(high / (2 * math.tan(camera.fov / 2)), NEAR) * float(np.linalg.norm(camera.centre))

    def in_world(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) of the normalised frame."""
        return points @ self.T_world_normalised[:3, :3].T + self.T_world_normalised[:3, 3]

    def from_world(self, points: np.ndarray) -> np.ndarray:
        """The reverse."""
        T = np.linalg.inv(self.T_world_normalised)
        return points @ T[:3, :3].T + T[:3, 3]


def read_scene(run: Path, make_mesh: Callable[[], Mesh] | None = None) -> Scene:
    """The newest checkpoint of a run, without its networks. make_mesh: called where the run has no fresh mesh, for one
    in the normalised frame; without it there is none then.

    Raises InputMissing, BadInput, Diverged; what make_mesh raises. Photos that have gone are a warning.
    """
    folder = open_run(run)
    checkpoint = load_newest(folder.checkpoints, warn)
    if checkpoint is None:
        raise BadInput("no checkpoint", where=folder.checkpoints, why="the fit has not saved one", todo="fit again")
    refuse_not_finite(checkpoint, MODEL_PARTS)
    with taken_apart(checkpoint):
        frame, origin = read_contents(checkpoint)
    mesh = fresh_mesh(folder, checkpoint, frame.T_world_normalised)
    if mesh is None and make_mesh is not None:
        mesh = make_mesh()
    config = folder.read_config()
    shapes = _shapes(frame.cameras, origin)
    named = _with_photos(_frusta(frame.cameras, shapes), origin, need_masks=Need.MASKS in method_of(config).needs)
    return Scene(
        name=origin.folder.name,
        step=checkpoint.step,
        mesh=mesh,
        cameras=named,
        before=_before(folder, frame.cameras, named, shapes),
        previews=read_previews(folder),
        up=mean_up(frame.cameras) if len(frame.cameras) else np.array([0.0, 0.0, 1.0]),
        T_world_normalised=frame.T_world_normalised,
    )


def read_previews(folder: RunFolder) -> list[PreviewFile]:
    """Pictures that the fit has left, by their steps."""
    found = []
    for file in sorted((folder.renders / "preview").glob("*.png")):
        if match := _PREVIEW.fullmatch(file.name):
            found.append(PreviewFile(int(match[1]), int(match[2]), file))
    return sorted(found, key=lambda preview: preview.step)


def _frusta(cameras: Cameras, shapes: list[tuple[int, int]]) -> list[Frustum]:
    """shapes: rows, columns of each photo, in the pixels of the intrinsics."""
    quaternions, centres = cameras.quaternions.double().numpy(), cameras.centres.double().numpy()
    focal = cameras.intrinsics[:, 1, 1].tolist()
    return [
        Frustum(
            f"{view:03d}", quaternions[view], centres[view], 2 * math.atan(rows / (2 * focal[view])), columns / rows
        )
        for view, (rows, columns) in enumerate(shapes)
    ]


def _shapes(cameras: Cameras, origin: Origin) -> list[tuple[int, int]]:
    """Of the photos as they were fitted; of runs that do not know them, as if cameras looked at their middles."""
    if len(origin.sizes) == len(cameras):
        return [(int(size[0]), int(size[1])) for size in origin.sizes]
    middles = cameras.intrinsics[:, :2, 2].tolist()
    return [(max(round(2 * v) + 1, 1), max(round(2 * u) + 1, 1)) for u, v in middles]


def _before(folder: RunFolder, now: Cameras, named: list[Frustum], shapes: list[tuple[int, int]]) -> list[Frustum]:
    """Trained cameras as they were given, less what all have moved in common; none where they were fixed."""
    history = read_history(folder.cameras / HISTORY_FILE)
    if history is None or len(history.at(0)) != len(now) or len(now) < 2:
        return []
    start = history.at(0)
    moved = transform_cameras(align_cameras(start, now), start)
    frusta = _frusta(Cameras(moved.quaternions, moved.centres, now.intrinsics), shapes)
    return [replace(camera, name=name.name, photo=name.photo) for camera, name in zip(frusta, named, strict=True)]


def _with_photos(frusta: list[Frustum], origin: Origin, *, need_masks: bool) -> list[Frustum]:
    """With names and files of photos, where the capture still has as many."""
    try:
        files = find_capture(origin.folder, origin.reading, need_masks=need_masks).images
    except TidrError as error:
        warn(f"no photos are shown: {error}")
        files = []
    if len(files) == len(frusta):
        return [replace(camera, name=file.stem, photo=file) for camera, file in zip(frusta, files, strict=True)]
    names = origin.names if len(origin.names) == len(frusta) else [camera.name for camera in frusta]
    return [replace(camera, name=name) for camera, name in zip(frusta, names, strict=True)]


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    return rotation_matrices(torch.from_numpy(quaternion)[None])[0].numpy()
