"""OpenMVG's sfm_data.json: views, intrinsics and extrinsics, joined by their ids.

x_camera = rotation (x_world - center), OpenCV's axes. Pixel centres are at integers, as OpenMVG's own undistortion
samples them (cameras/Camera_undistort_image.hpp); T1 and T2 of its Brown model are OpenCV's p1 and p2
(Camera_Pinhole_Brown.hpp), its fisheye is OpenCV's (Camera_Pinhole_Fisheye.hpp). The file is an archive of cereal: a
type is named where its id first appears, with the highest bit of the id set, and an object that is shared lies where
its pointer first appears, likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import BadInput
from ...types import CaptureReading
from .gathering import Wanted, find_photo, gathered
from .source import FoundView, Layout, Lens, Pinhole
from .strict import Rows, Vector, as_rows, number, numbers, objects, positive, read_json, size_in, transposed

FORMAT = "OpenMVG"
FILE = "sfm_data.json"
MOST_BYTES = 256 << 20
_TODO = "write it anew with OpenMVG"
_FIRST = 1 << 31  # of an id, where what it stands for is told
_DISTORTIONS = {
    "pinhole": ("", 0), "pinhole_radial_k1": ("disto_k1", 1), "pinhole_radial_k3": ("disto_k3", 3),
    "pinhole_brown_t2": ("disto_t2", 5), "fisheye": ("fisheye", 4),
}  # fmt: skip
"""By type: where its coefficients are, and how many."""


def recognised(folder: Path) -> bool:
    return (folder / FILE).is_file()


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """Photos with pose and intrinsics. Raises InputMissing: photos that are not there; BadInput: what is wrong."""
    file, wanted = folder / FILE, Wanted(folder, reading, fewest_views, need_masks)
    tree = read_json(file, "bad sfm_data", _TODO, MOST_BYTES)
    told = _entries(tree, "views", file)
    cameras = {key: _camera(data, kind, f"{file}: intrinsics[{key}]") for key, kind, data in _typed(tree, file)}
    posed = _entries(tree, "extrinsics", file)
    poses = {key: _pose(value, f"{file}: extrinsics[{key}]") for key, value in posed.items()}
    root = tree.get("root_path")
    views = [
        _view(_data(value, f"{file}: views[{key}]"), f"{file}: views[{key}]", root, cameras, poses, wanted)
        for key, value in told.items()
    ]
    found = [view for view in views if view is not None]
    return gathered(FORMAT, file, found, wanted, without_pose=len(views) - len(found))


def _entries(tree: Mapping[str, Any], name: str, file: Path) -> dict[int, dict[str, Any]]:
    """A map as cereal writes it: a list of keys and values."""
    found: dict[int, dict[str, Any]] = {}
    for entry in objects(tree, name, file, _TODO):
        key, value = entry.get("key"), entry.get("value")
        if not isinstance(key, int) or not isinstance(value, dict) or key in found:
            why = f"{key!r:.40}: expected one value for each number"
            raise BadInput("bad sfm_data", where=f"{file}: {name}", why=why, todo=_TODO)
        found[key] = value
    return found


def _typed(tree: Mapping[str, Any], file: Path) -> list[tuple[int, str, dict[str, Any]]]:
    """Key, type and numbers of each intrinsic. Types of views may be named first, under ids of the same series."""
    names: dict[int, str] = {}
    shared: dict[int, dict[str, Any]] = {}
    found = []
    for part in ("views", "intrinsics"):
        for key, value in _entries(tree, part, file).items():
            where = f"{file}: {part}[{key}]"
            number_of_type, name = value.get("polymorphic_id"), value.get("polymorphic_name")
            if isinstance(number_of_type, int) and number_of_type & _FIRST and isinstance(name, str):
                names[number_of_type & ~_FIRST] = name
            if part == "intrinsics":
                kind = names.get(number_of_type & ~_FIRST, "") if isinstance(number_of_type, int) else ""
                found.append((key, kind, _data(value, where, shared)))
    return found


def _data(value: Mapping[str, Any], where: str, shared: dict[int, dict[str, Any]] | None = None) -> dict[str, Any]:
    """What a pointer points to; shared: what earlier ones did, by id."""
    wrapper = value.get("ptr_wrapper")
    wrapper = wrapper if isinstance(wrapper, dict) else {}
    pointer, data = wrapper.get("id"), wrapper.get("data")
    if shared is not None and isinstance(pointer, int):
        if isinstance(data, dict) and pointer & _FIRST:
            shared[pointer & ~_FIRST] = data
        data = shared.get(pointer & ~_FIRST) if data is None else data
    if not isinstance(data, dict):
        raise BadInput("bad sfm_data", where=f"{where}.ptr_wrapper", why="it has no data", todo=_TODO)
    return data


def _camera(data: Mapping[str, Any], kind: str, where: str) -> tuple[Pinhole, Lens]:
    if kind not in _DISTORTIONS:
        why = f"{kind!r:.40}; expected one of {', '.join(_DISTORTIONS)}"
        raise BadInput("unknown camera model", where=where, why=why, todo="undistort the photos with OpenMVG")
    focal = positive(number(data, "focal_length", where, _TODO), f"{where}.focal_length", _TODO)
    cx, cy = numbers(data.get("principal_point"), 2, f"{where}.principal_point", _TODO)
    name, count = _DISTORTIONS[kind]
    k = numbers(data.get(name), count, f"{where}.{name}", _TODO) if count else []
    pinhole = Pinhole(focal, focal, cx, cy, *size_in(data, where, _TODO))
    if kind == "fisheye":
        return pinhole, Lens(tuple(k), fisheye=True)
    k1, k2, k3, p1, p2 = (*k, *[0.0] * 5)[:5]
    return pinhole, Lens((k1, k2, p1, p2, k3))


def _pose(value: Mapping[str, Any], where: str) -> tuple[Rows, Vector]:
    """Rotation camera -> world, and centre."""
    rows = value.get("rotation")
    rows = rows if isinstance(rows, list) and len(rows) == 3 else [None] * 3
    entries = [entry for row in rows for entry in numbers(row, 3, f"{where}.rotation", _TODO)]
    x, y, z = numbers(value.get("center"), 3, f"{where}.center", _TODO)
    return transposed(as_rows(entries)), (x, y, z)


def _view(
    data: Mapping[str, Any],
    where: str,
    root: Any,
    cameras: Mapping[int, tuple[Pinhole, Lens]],
    poses: Mapping[int, tuple[Rows, Vector]],
    wanted: Wanted,
) -> FoundView | None:
    """None where it has no pose, or no intrinsics."""
    pose, camera = data.get("id_pose"), data.get("id_intrinsic")
    if not isinstance(pose, int) or not isinstance(camera, int) or pose not in poses or camera not in cameras:
        return None
    name, folder = data.get("filename"), data.get("local_path") or ""
    if not isinstance(name, str) or not isinstance(folder, str):
        raise BadInput("bad file name", where=f"{where}.filename", why=f"{name!r:.60}", todo=_TODO)
    told = f"{folder.strip('/')}/{name}" if folder.strip("/") else name
    inside = isinstance(root, str) and ".." not in Path(root).parts
    image = find_photo(wanted, f"{root}/{told}" if root and inside else told, f"{where}.filename", _TODO)
    rotation, centre = poses[pose]
    pinhole, lens = cameras[camera]
    return FoundView(image, rotation, centre, pinhole, lens)
