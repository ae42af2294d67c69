"""Bundler's `bundle.out` (v0.3, also `bundle.rd.out`) with the names of its photos in `list.txt`.

x_camera = R x_world + t with OpenGL's axes: the camera looks along -z, y is up. Pixels are counted from the photo's
middle, with (-w / 2, -h / 2) its corner at the lower left; k1 and k2 are factors of r^2 and r^4 of the straight ray, as
OpenCV's are (Bundler's manual). A focal length of 0 is a photo without a pose. Points are not read.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import BadInput, InputMissing
from ...types import CaptureReading
from .gathering import Wanted, find_photo, gathered, size_if_there
from .source import CORNER_CENTRE, FoundView, Layout, Lens, Pinhole
from .strict import as_rows, finite, numbers, pose_of, positive, read_text

FORMAT = "Bundler"
FILES = ("bundle.out", "bundle.rd.out", "bundle/bundle.out", "bundle/bundle.rd.out")
LIST = "list.txt"
MOST_BYTES = 256 << 20
_HEAD = re.compile(r"# Bundle file v0\.3\s+")
_CAMERA = 15  # numbers: f k1 k2, R, t
_TODO = "write it anew with Bundler"


def recognised(folder: Path) -> bool:
    return any((folder / name).is_file() for name in FILES)


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """Photos with a pose. Raises InputMissing: photos or list.txt are not there; BadInput: what is wrong."""
    file, wanted = _file(folder), Wanted(folder, reading, fewest_views, need_masks)
    cameras, names = _cameras(file), _names(folder, file)
    if len(cameras) != len(names):
        why = f"{len(cameras)} cameras for {len(names)} names in {LIST}"
        raise BadInput("cameras and photos do not pair", where=file, why=why, todo="keep the list that it was made of")
    views = [
        _view(name, values, f"{file}: camera {index}", wanted)
        for index, (name, values) in enumerate(zip(names, cameras, strict=True))
        if values[0] != 0
    ]
    return gathered(FORMAT, file, views, wanted, without_pose=len(cameras) - len(views))


def _file(folder: Path) -> Path:
    return next(folder / name for name in FILES if (folder / name).is_file())


def _cameras(file: Path) -> list[list[float]]:
    text = read_text(file, "bad bundle", _TODO, MOST_BYTES)
    head = _HEAD.match(text)
    counts = text[head.end() :].split(maxsplit=2)[:2] if head else []
    if len(counts) != 2 or not all(re.fullmatch(r"\d{1,9}", word) for word in counts):
        why = "expected `# Bundle file v0.3`, and the numbers of cameras and points"
        raise BadInput("bad bundle", where=file, why=why, todo=_TODO)
    count = int(counts[0])
    if count * _CAMERA * 2 > len(text):  # each number takes a sign or digit and a blank
        why = f"it promises {count} cameras, and has {len(text)} characters"
        raise BadInput("bad bundle", where=file, why=why, todo=_TODO)
    assert head is not None
    words = text[head.end() :].split(maxsplit=2 + count * _CAMERA)[2 : 2 + count * _CAMERA]
    groups = [words[start : start + _CAMERA] for start in range(0, count * _CAMERA, _CAMERA)]
    return [numbers(one, _CAMERA, f"{file}: camera {index}", _TODO, text=True) for index, one in enumerate(groups)]


def _names(folder: Path, file: Path) -> list[str]:
    path = next((one for one in (file.parent / LIST, folder / LIST) if one.is_file()), None)
    if path is None:
        raise InputMissing("no list of photos", where=file.parent / LIST, todo="put Bundler's list.txt there")
    lines = read_text(path, "bad list", _TODO, MOST_BYTES).splitlines()
    return [_name(line.strip()) for line in lines if line.strip()]


def _name(line: str) -> str:
    """Without the focal length that may follow."""
    name, *words = line.rsplit(maxsplit=2)
    return name if len(words) == 2 and words[0] == "0" and finite(words[1], text=True) is not None else line


def _view(name: str, values: list[float], where: str, wanted: Wanted) -> FoundView:
    image = find_photo(wanted, name, f"{where}: {LIST}", _TODO)
    width, height = size_if_there(image)
    focal = positive(values[0], f"{where}: f", _TODO)
    R, t = as_rows(values[3:12]), values[12:]
    rotation, centre = pose_of((R[0], _turned(R[1]), _turned(R[2])), (t[0], -t[1], -t[2]))
    middle = width / 2 - CORNER_CENTRE, height / 2 - CORNER_CENTRE
    pinhole = Pinhole(focal, focal, *middle, width, height)
    return FoundView(image, rotation, centre, pinhole, Lens((values[1], values[2])))


def _turned(row: tuple[float, float, float]) -> tuple[float, float, float]:
    return (-row[0], -row[1], -row[2])
