"""AliceVision's (Meshroom's) `cameras.sfm` and other scenes in JSON, whose numbers are written as text.

A pose's `rotation` is that of world -> camera, column by column (jsonIO.hpp writes an Eigen matrix in its own order):
read row by row it is camera -> world. Axes are OpenCV's, pixel centres are at integers, as AliceVision's undistortion
samples them (cameraUndistortImage.hpp). What intrinsics mean has changed (jsonIO.cpp, CHANGES.md, and its folder
compatibilityData, which is one scene as each version wrote it):

- `pxFocalLength`, one number before 1.2.0, two before 1.2.2; then `focalLength` in mm, for a `sensorWidth` in mm
- `principalPoint` from the first pixel before 1.2.1, since then from the photo's middle
- `pixelRatio` fx / fy before 1.2.5, since then fy / fx; `focalLength` is fx before 1.2.11, since then fy
- lenses are a `type` before 1.2.7 or so, since then a `distortionType`; Brown's and the fisheye's terms are OpenCV's
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import BadInput
from ...types import CaptureReading
from .gathering import Wanted, find_photo, first_of, gathered
from .source import FoundView, Layout, Lens, Pinhole, natural
from .strict import Rows, Vector, as_rows, number, numbers, objects, positive, read_json, size_in

FORMAT = "AliceVision"
USUAL = ("cameras.sfm", "sfm.json", "sfm.sfm")
MOST_BYTES = 256 << 20
SENSOR_WIDTH = 36.0  # mm, where the file does not say (jsonIO.cpp)
_TODO = "write it anew with AliceVision"
_COUNTS = {
    "none": 0, "pinhole": 0, "radial1": 1, "radialk1": 1, "radial3": 3, "radialk3": 3, "brown": 5, "fisheye": 4,
    "fisheye4": 4,
}  # fmt: skip
"""Coefficients of each lens."""


def recognised(folder: Path) -> bool:
    return bool(_files(folder))


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """Photos with pose and intrinsics. Raises InputMissing: photos that are not there; BadInput: what is wrong."""
    file, warnings = first_of(_files(folder))
    wanted, tree = Wanted(folder, reading, fewest_views, need_masks), read_json(file, "bad scene", _TODO, MOST_BYTES)
    version = _version(tree, file)
    cameras = {
        key: _camera(value, version, f"{file}: intrinsics[{key}]")
        for key, value in _by_id(tree, "intrinsics", "intrinsicId", file).items()
    }
    poses = {key: _pose(value, f"{file}: poses[{key}]") for key, value in _by_id(tree, "poses", "poseId", file).items()}
    views = [
        _view(value, f"{file}: views[{key}]", cameras, poses, wanted)
        for key, value in _by_id(tree, "views", "viewId", file).items()
    ]
    posed = [view for view in views if view is not None]
    return gathered(FORMAT, file, posed, wanted, without_pose=len(views) - len(posed), warnings=warnings)


def _files(folder: Path) -> list[Path]:
    found = [*(folder / name for name in USUAL), *sorted(folder.glob("*.sfm"), key=natural)]
    return [path for path in dict.fromkeys(found) if path.is_file()]


def _version(tree: Mapping[str, Any], file: Path) -> tuple[int, ...]:
    parts = numbers(tree.get("version", [1, 0, 0]), 3, f"{file}: version", _TODO, text=True)
    return tuple(int(part) for part in parts)


def _by_id(tree: Mapping[str, Any], part: str, name: str, file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for entry in objects(tree, part, file, _TODO):
        key = entry.get(name)
        if not isinstance(key, str | int) or str(key) in found:
            why = f"{key!r:.40}: expected one of each number"
            raise BadInput("bad scene", where=f"{file}: {part}: {name}", why=why, todo=_TODO)
        found[str(key)] = entry
    return found


def _camera(told: Mapping[str, Any], version: tuple[int, ...], where: str) -> tuple[Pinhole, Lens]:
    width, height = size_in(told, where, _TODO, text=True)
    fx, fy = (positive(focal, where, _TODO) for focal in _focals(told, version, width, where))
    cx, cy = numbers(told.get("principalPoint"), 2, f"{where}.principalPoint", _TODO, text=True)
    if version >= (1, 2, 1):
        cx, cy = cx + width / 2, cy + height / 2
    return Pinhole(fx, fy, cx, cy, width, height), _lens(told, where)


def _focals(told: Mapping[str, Any], version: tuple[int, ...], width: int, where: str) -> tuple[float, float]:
    """In pixels, x and y."""
    if version < (1, 2, 0):
        focal = number(told, "pxFocalLength", where, _TODO, text=True)
        return focal, focal
    if version < (1, 2, 2):
        fx, fy = numbers(told.get("pxFocalLength"), 2, f"{where}.pxFocalLength", _TODO, text=True)
        return fx, fy
    sensor = positive(number(told, "sensorWidth", where, _TODO, SENSOR_WIDTH, text=True), where, _TODO)
    focal = number(told, "focalLength", where, _TODO, text=True) / sensor * width
    ratio = positive(number(told, "pixelRatio", where, _TODO, 1.0, text=True), f"{where}.pixelRatio", _TODO)
    if version < (1, 2, 5):
        return focal, focal / ratio
    return (focal, focal * ratio) if version < (1, 2, 11) else (focal / ratio, focal)


def _lens(told: Mapping[str, Any], where: str) -> Lens:
    kind, other = told.get("type"), told.get("undistortionType", "none")
    kind = told.get("distortionType", kind) if kind == "pinhole" else kind
    if not isinstance(kind, str) or kind not in _COUNTS or other != "none":
        why = f"{kind!r:.40} and undistortionType {other!r:.40}; expected one of {', '.join(_COUNTS)} and 'none'"
        raise BadInput("unknown camera model", where=where, why=why, todo="undistort the photos with AliceVision")
    count = _COUNTS[kind]
    k = numbers(told.get("distortionParams"), count, f"{where}.distortionParams", _TODO, text=True) if count else []
    if kind.startswith("fisheye"):
        return Lens(tuple(k), fisheye=True)
    k1, k2, k3, p1, p2 = (*k, *[0.0] * 5)[:5]
    return Lens((k1, k2, p1, p2, k3))


def _pose(told: Mapping[str, Any], where: str) -> tuple[Rows, Vector]:
    """Rotation camera -> world, and centre."""
    pose = told.get("pose")
    transform = pose.get("transform") if isinstance(pose, dict) else None
    transform = transform if isinstance(transform, dict) else {}
    entries = numbers(transform.get("rotation"), 9, f"{where}.rotation", _TODO, text=True)
    x, y, z = numbers(transform.get("center"), 3, f"{where}.center", _TODO, text=True)
    return as_rows(entries), (x, y, z)


def _view(
    told: Mapping[str, Any],
    where: str,
    cameras: Mapping[str, tuple[Pinhole, Lens]],
    poses: Mapping[str, tuple[Rows, Vector]],
    wanted: Wanted,
) -> FoundView | None:
    """None where it has no pose, or no intrinsics."""
    if str(told.get("isPoseIndependant", "true")).lower() in ("false", "0"):
        todo = "compute its poses without the rig's constraints"
        raise BadInput("a rig", where=where, why="its pose is that of a rig, which is not read", todo=todo)
    pose, camera = str(told.get("poseId")), str(told.get("intrinsicId"))
    if pose not in poses or camera not in cameras:
        return None
    path = told.get("path")
    image = find_photo(wanted, path if isinstance(path, str) else "", f"{where}.path", _TODO)
    rotation, centre = poses[pose]
    pinhole, lens = cameras[camera]
    return FoundView(image, rotation, centre, pinhole, lens)
