"""transforms.json of nerfstudio, instant-ngp and Polycam; Blender's transforms_train.json (NeRF's synthetic scenes),
with held-out views beside it.

Poses are camera -> world with OpenGL's axes, pixels are counted from the corner of the first one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import BadInput, InputMissing
from ...types import CaptureReading
from .pairing import find_masks
from .source import (
    CORNER_CENTRE,
    SUFFIXES,
    FoundView,
    Layout,
    Lens,
    Pinhole,
    listed,
    natural,
    refuse_outside,
    size_of,
)
from .strict import check_name, finite, number, read_json

if TYPE_CHECKING:
    from ...types import Cameras

FORMAT = "transforms.json"
FILES = ("transforms.json", "transforms_train.json")
HELDOUT_FILES = ("transforms_test.json", "transforms_val.json")
MOST_BYTES = 64 << 20
_LENSES = {"OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "OPENCV_FISHEYE"}
_TODO = "correct the file"


def recognised(folder: Path) -> bool:
    return any((folder / name).is_file() for name in FILES)


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """Views of the file's frames. Raises InputMissing: photos that are not there; BadInput: what is wrong in it."""
    return _layout(folder, _file_of(folder), reading, fewest_views, need_masks)


def find_heldout(folder: Path, reading: CaptureReading, *, need_masks: bool = True) -> Layout | None:
    """Views of a Blender scene that a fit never sees: of the first of HELDOUT_FILES that has any photo. Raises
    InputMissing: some of its photos are not there; BadInput: what is wrong in it."""
    if _file_of(folder).name == FILES[0]:
        return None
    for file in (path for name in HELDOUT_FILES if (path := folder / name).is_file()):
        if any(view.image.is_file() for view in _views(folder, file, reading)):
            return _layout(folder, file, reading, 1, need_masks)
    return None


def transforms(
    cameras: Cameras, names: Sequence[str], sizes: Sequence[tuple[int, int]], *, masks: bool = False
) -> dict[str, object]:
    """Per frame intrinsics and `transform_matrix`, OpenGL camera -> world; masks: of the same names in `mask/`."""
    from .conventions import OPENGL, pinholes, poses

    frames = []
    for pose, pinhole, name, (height, width) in zip(poses(cameras), pinholes(cameras), names, sizes, strict=True):
        intrinsics = dict(zip(("fl_x", "fl_y", "cx", "cy"), pinhole, strict=True))
        matrix = (pose @ OPENGL).tolist()
        files = {"file_path": f"image/{name}", **({"mask_path": f"mask/{name}"} if masks else {})}
        frames.append({**files, **intrinsics, "w": width, "h": height, "transform_matrix": matrix})
    return {"camera_model": "OPENCV", "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0, "frames": frames}


def _file_of(folder: Path) -> Path:
    return next(folder / name for name in FILES if (folder / name).is_file())


def _views(folder: Path, file: Path, reading: CaptureReading) -> list[FoundView]:
    tree = read_json(file, "bad transforms", _TODO, MOST_BYTES)
    frames = tree.get("frames")
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise BadInput("bad transforms", where=f"{file}: frames", why="expected a list of frames", todo=_TODO)
    return [_view(folder, file, {**tree, **frame}, number, reading) for number, frame in enumerate(frames)]


def _layout(folder: Path, file: Path, reading: CaptureReading, fewest_views: int, need_masks: bool) -> Layout:
    views = _views(folder, file, reading)
    missing = [os.path.relpath(view.image, folder) for view in views if not view.image.is_file()]
    if missing:
        why = f"{len(missing)} of {len(views)} frames: {listed(missing)}"
        raise InputMissing("no such photo", where=file, why=why, todo="put them there, or take their frames out")
    if len(views) < fewest_views:
        why = f"{len(views)} frames, at least {fewest_views} needed"
        raise BadInput("too few images", where=file, why=why, todo="add photos")
    views.sort(key=lambda view: (view.image.parent, natural(view.image)))
    images = [view.image for view in views]
    return Layout(FORMAT, file, file, images, _masks(folder, views, reading, need_masks), tuple(views))


def _view(folder: Path, file: Path, frame: Mapping[str, Any], number: int, reading: CaptureReading) -> FoundView:
    """One frame, with what holds for all of them beneath its own."""
    where = f"{file}: frames[{number}]"
    image = _file(folder, frame.get("file_path"), f"{where}.file_path", reading)
    named = frame.get("mask_path")
    mask = None if named is None else _file(folder, named, f"{where}.mask_path", reading)
    matrix = _matrix(frame.get("transform_matrix"), f"{where}.transform_matrix")
    # OpenGL's y and z axes point the other way than OpenCV's.
    rotation = tuple((row[0], -row[1], -row[2]) for row in matrix)
    centre = (matrix[0][3], matrix[1][3], matrix[2][3])
    lens = _lens(frame, where)
    pinhole = _pinhole(frame, image, where) if image.is_file() else Pinhole(1.0, 1.0, 0.0, 0.0, 1, 1)
    return FoundView(image, rotation, centre, pinhole, lens, mask)


def _file(folder: Path, named: Any, where: str, reading: CaptureReading) -> Path:
    """The file of a name, whose suffix may be missing."""
    path = folder / check_name(named, where, _TODO)
    if not path.is_file() and path.suffix.lower() not in SUFFIXES:
        path = next((found for suffix in sorted(SUFFIXES) if (found := Path(f"{path}{suffix}")).is_file()), path)
    if not reading.allow_outside:
        refuse_outside(path, folder)
    return path


def _matrix(value: Any, where: str) -> list[list[float]]:
    """Four rows of four numbers, the last 0 0 0 1; it may be missing."""
    rows = value if isinstance(value, list) else []
    numbers = [[finite(entry) for entry in row] if isinstance(row, list) else [] for row in rows]
    if len(numbers) not in (3, 4) or any(len(row) != 4 or None in row for row in numbers):
        raise BadInput("bad matrix", where=where, why="expected 4x4 numbers", todo=_TODO)
    if len(numbers) == 4 and numbers[3] != [0, 0, 0, 1]:
        raise BadInput("bad matrix", where=where, why=f"last row {numbers[3]}, expected 0 0 0 1", todo=_TODO)
    return numbers[:3]  # pyright: ignore[reportReturnType]


def _pinhole(frame: Mapping[str, Any], image: Path, where: str) -> Pinhole:
    """Intrinsics in pixels, or from angles of view; the size is the photo's where the file does not say."""
    own_width, own_height = size_of(image)
    width, height = (int(number(frame, key, where, _TODO, own)) for key, own in (("w", own_width), ("h", own_height)))
    if width < 1 or height < 1:
        raise BadInput("bad intrinsics", where=where, why=f"{width}x{height} pixels", todo=_TODO)
    fx = _focal(frame, "fl_x", "camera_angle_x", width, where)
    fy = _focal(frame, "fl_y", "camera_angle_y", height, where)
    fx, fy = fx or fy, fy or fx
    if fx is None or fy is None:
        why = "neither fl_x nor camera_angle_x is there"
        raise BadInput("bad intrinsics", where=where, why=why, todo=_TODO)
    cx, cy = number(frame, "cx", where, _TODO, width / 2), number(frame, "cy", where, _TODO, height / 2)
    return Pinhole(fx, fy, cx - CORNER_CENTRE, cy - CORNER_CENTRE, width, height)


def _focal(frame: Mapping[str, Any], key: str, angle: str, size: int, where: str) -> float | None:
    if key in frame:
        focal = number(frame, key, where, _TODO, 0.0)
    elif angle in frame:
        half = number(frame, angle, where, _TODO, 0.0) / 2
        focal = size / (2 * math.tan(half)) if 0 < half < math.pi / 2 else 0.0
    else:
        return None
    if focal <= 0:
        raise BadInput("bad intrinsics", where=f"{where}.{key}", why=f"focal length {focal:g}", todo=_TODO)
    return focal


def _lens(frame: Mapping[str, Any], where: str) -> Lens:
    model = frame.get("camera_model", "OPENCV")
    if model not in _LENSES:
        why = f"{model!r:.40}; expected one of {', '.join(sorted(_LENSES))}"
        raise BadInput("unknown camera model", where=f"{where}.camera_model", why=why, todo="undistort the photos")
    k1, k2, k3, k4, p1, p2, k5, k6 = (
        number(frame, key, where, _TODO, 0.0) for key in ("k1", "k2", "k3", "k4", "p1", "p2", "k5", "k6")
    )
    if model == "OPENCV_FISHEYE" or frame.get("is_fisheye"):
        return Lens((k1, k2, k3, k4), fisheye=True)
    return Lens((k1, k2, p1, p2, k3, k4, k5, k6))


def _masks(folder: Path, views: Sequence[FoundView], reading: CaptureReading, needed: bool) -> list[Path] | None:
    """Those that the frames name, alpha, or a folder's."""
    named = [view.mask for view in views if view.mask]
    if named and reading.silhouettes is None:
        missing = [view.image.name for view in views if view.mask is None or not view.mask.is_file()]
        if missing:
            why = f"none for {listed(missing)}"
            raise BadInput("masks and images do not pair", where=folder, why=why, todo="name one in each frame")
        return named
    return find_masks(folder, [view.image for view in views], reading, needed=needed)
