"""COLMAP's models, binary and text: read with every count and length checked, and written as text.

A model is `cameras`, `images` and `points3D`; rigs and frames of newer versions lie beside them and are not needed,
since images keep their own poses. Poses are world -> camera, pixels are counted from the corner of the first one.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import BadInput, InputMissing
from ...files.reading import whole
from ...types import CaptureReading
from .pairing import find_masks
from .source import (
    CORNER_CENTRE,
    IMAGE_FOLDERS,
    SUFFIXES,
    FoundView,
    Layout,
    Lens,
    Pinhole,
    folder_of,
    listed,
    natural,
    refuse_outside,
)
from .strict import LARGEST, check_name

if TYPE_CHECKING:
    import numpy as np

    from ...types import Cameras

FORMAT = "COLMAP"
COLMAP_FOLDER = Path("sparse", "0")
MODELS = (Path("sparse"), Path("colmap", "sparse"), Path("dense", "sparse"), Path())
"""Folders that hold a model, or numbered ones."""
MOST_BYTES = 1 << 30
_TODO = "write the model anew with COLMAP"
_KINDS = (
    "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV", "FOV",
    "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "THIN_PRISM_FISHEYE",
)  # fmt: skip
_LENGTHS: dict[str, int] = dict(zip(_KINDS, (3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12), strict=True))


@dataclass(frozen=True)
class _Image:
    """number: in tracks of points. name: below the photos' folder. quaternion: w x y z, shift: world -> camera."""

    number: int
    name: str
    quaternion: tuple[float, ...]
    shift: tuple[float, ...]
    camera: int


def recognised(folder: Path) -> bool:
    return bool(_models(folder))


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """The photos that a model has poses of; of several models, the largest. Raises InputMissing, BadInput."""
    found = {model: _read_images(model) for model in _models(folder)}
    model = max(found, key=lambda one: len(found[one]))
    warnings = []
    if len(found) > 1:
        others = ", ".join(f"{one.relative_to(folder)} ({len(found[one])})" for one in found if one != model)
        warnings.append(
            f"{len(found)} models: {model.relative_to(folder)} has {len(found[model])} photos; not {others}"
        )
    images, cameras, place = found[model], _read_cameras(model), folder_of(folder, IMAGE_FOLDERS)
    if len(images) < fewest_views:
        why = f"{len(images)} photos have poses, at least {fewest_views} needed"
        raise BadInput("too few images", where=model, why=why, todo="take more photos, with more overlap")
    views = sorted(
        (_view(place, model, image, cameras) for image in images),
        key=lambda view: (view.image.parent, natural(view.image)),
    )
    _refuse_missing(place, views, model)
    if not reading.allow_outside:
        for view in views:
            refuse_outside(view.image, folder)
    photos = {path.resolve() for path in place.rglob("*") if path.suffix.lower() in SUFFIXES}
    without = len(photos - {view.image.resolve() for view in views})
    if without:
        warnings.append(
            f"{without} of {len(photos)} photos have no pose in {model.relative_to(folder)} and are left out"
        )
    posed = [view.image for view in views]
    masks = find_masks(folder, posed, reading, needed=need_masks, below=place)
    return Layout(FORMAT, model, model, posed, masks, tuple(views), tuple(warnings))


def read_tracks(model: Path, fewest: int) -> tuple[np.ndarray, dict[str, list[int]]]:
    """Points (N, 3) of the world that at least so many photos show, and which of them each photo shows, by its name
    below the photos' folder. Raises InputMissing: no points; BadInput: what is wrong in them."""
    import numpy as np

    if not _file(model, "points3D"):
        raise InputMissing("no points", where=model, why="points3D is not there", todo="write the model with points")
    path, data = _bytes(model, "points3D")
    records = _points_of_bytes(_Bytes(path, data)) if path.suffix == ".bin" else _points_of_text(path, data)
    kept = [(place, shown) for place, track in records if len(shown := set(track)) >= fewest]
    names = {image.number: image.name for image in _read_images(model)}
    tracks: dict[str, list[int]] = {name: [] for name in names.values()}
    for index, (_, shown) in enumerate(kept):
        for number in shown & names.keys():
            tracks[names[number]].append(index)
    return np.array([place for place, _ in kept]).reshape(-1, 3), tracks


def colmap_texts(cameras: Cameras, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> dict[str, str]:
    """A pinhole for each view; world -> camera as quaternion w x y z and shift; no points."""
    from .conventions import pinholes

    models = [
        f"{number} PINHOLE {width} {height} {_spaced(pinhole)}"
        for number, (pinhole, (height, width)) in enumerate(zip(pinholes(cameras), sizes, strict=True), start=1)
    ]
    return _texts(models, _image_lines(cameras, names, range(1, len(names) + 1)), [])


def model_texts(views: Sequence[FoundView], points: Sequence[Sequence[float]], where: Path) -> dict[str, str]:
    """Views of lenses that bend in one term (SIMPLE_RADIAL), and points of the world, without what shows them.

    Raises BadInput, naming `where`, for a view whose pose is none.
    """
    from .conventions import view_cameras

    kinds: dict[tuple[Pinhole, Lens], int] = {}
    numbers = [kinds.setdefault((view.pinhole, view.lens), len(kinds) + 1) for view in views]
    models = []
    for (p, lens), number in kinds.items():
        k, *_ = (*lens.coefficients, 0.0)
        values = _spaced((p.fx, p.cx + CORNER_CENTRE, p.cy + CORNER_CENTRE, k))
        models.append(f"{number} SIMPLE_RADIAL {p.width} {p.height} {values}")
    cameras = view_cameras(views, [view.pinhole for view in views], where)
    places = [f"{number} {_spaced(point)} 128 128 128 0" for number, point in enumerate(points, start=1)]
    return _texts(models, _image_lines(cameras, [view.image.name for view in views], numbers), places)


def _image_lines(cameras: Cameras, names: Sequence[str], models: Sequence[int]) -> list[str]:
    """Two for each view; models: the number of its camera."""
    import torch

    from ...cameras.rotations import rotation_matrices

    conjugate = torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64)
    turns = torch.nn.functional.normalize(cameras.quaternions, dim=1) * conjugate
    shifts = -(rotation_matrices(turns) @ cameras.centres[:, :, None])[:, :, 0]
    lines = []
    rows = zip(turns.tolist(), shifts.tolist(), models, names, strict=True)
    for number, (turn, shift, model, name) in enumerate(rows, start=1):
        lines += [f"{number} {_spaced(turn)} {_spaced(shift)} {model} {_one_word(name)}", ""]
    return lines


def _texts(models: list[str], images: list[str], points: list[str]) -> dict[str, str]:
    """The three files, each with a word about its lines."""
    lines = {
        "cameras.txt": ["# CAMERA_ID MODEL WIDTH HEIGHT, then the model's numbers", *models],
        "images.txt": [
            "# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then a line of points, which is empty",
            *images,
        ],
        "points3D.txt": ["# POINT3D_ID X Y Z R G B ERROR", *points] if points else ["# none"],
    }
    return {name: "\n".join(text) + "\n" for name, text in lines.items()}


def _models(folder: Path) -> list[Path]:
    """Folders with a model's files, in order."""
    places = [folder / part for part in MODELS]
    numbered = [path for place in places[:-1] if place.is_dir() for path in sorted(place.iterdir(), key=natural)]
    return [path for path in (*numbered, *places) if _file(path, "cameras") and _file(path, "images")]


def _file(model: Path, name: str) -> Path | None:
    return next((path for suffix in (".bin", ".txt") if (path := model / f"{name}{suffix}").is_file()), None)


def _bytes(model: Path, name: str) -> tuple[Path, bytes]:
    path = _file(model, name)
    assert path is not None
    return path, whole(path, MOST_BYTES, todo=_TODO)


class _Bytes:
    """Reads values one after the other. Raises BadInput where the file ends before."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.at = path, data, 0

    def values(self, form: str) -> tuple:
        size = struct.calcsize(f"<{form}")
        if self.at + size > len(self.data):
            raise self.damaged(f"it ends after {len(self.data)} bytes, in the middle of a record")
        found = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += size
        return found

    def count(self, least: int) -> int:
        """Of records that take at least so many bytes each."""
        (number,) = self.values("Q")
        if number > (len(self.data) - self.at) // least:
            raise self.damaged(f"it promises {number} records, and has {len(self.data)} bytes")
        return number

    def word(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise self.damaged("a name in it does not end")
        word, self.at = self.data[self.at : end], end + 1
        return word.decode("utf-8", errors="surrogateescape")

    def skip(self, size: int) -> None:
        if size > len(self.data) - self.at:
            raise self.damaged(f"it ends after {len(self.data)} bytes, in the middle of a record")
        self.at += size

    def damaged(self, why: str) -> BadInput:
        return BadInput("damaged COLMAP model", where=self.path, why=why, todo=_TODO)


def _read_cameras(model: Path) -> dict[int, tuple[Pinhole, Lens]]:
    path, data = _bytes(model, "cameras")
    cameras: dict[int, tuple[Pinhole, Lens]] = {}
    if path.suffix == ".bin":
        stream = _Bytes(path, data)
        for _ in range(stream.count(24)):
            number, kind, width, height = stream.values("iiQQ")
            if not 0 <= kind < len(_KINDS):
                raise stream.damaged(f"camera {number} is of the unknown model {kind}")
            numbers = stream.values(f"{_LENGTHS[_KINDS[kind]]}d")
            cameras[number] = _camera(path, number, _KINDS[kind], width, height, numbers)
        return cameras
    for line in _lines(path, data):
        words = line.split()
        try:
            number, kind, width, height = int(words[0]), words[1], int(words[2]), int(words[3])
            numbers = tuple(map(float, words[4:]))
        except (ValueError, IndexError) as error:
            raise BadInput("damaged COLMAP model", where=path, why=f"the line {line!r:.60}", todo=_TODO) from error
        if len(numbers) != _LENGTHS.get(kind, -1):
            why = f"camera {number}: {kind:.40} with {len(numbers)} numbers"
            raise BadInput("damaged COLMAP model", where=path, why=why, todo=_TODO)
        cameras[number] = _camera(path, number, kind, width, height, numbers)
    return cameras


def _camera(
    path: Path, number: int, kind: str, width: int, height: int, numbers: Sequence[float]
) -> tuple[Pinhole, Lens]:
    """Raises BadInput: not a photo's, or of a lens that cannot be straightened here."""
    where = f"{path}: camera {number}"
    one_focal = kind.startswith("SIMPLE") or kind in ("RADIAL", "RADIAL_FISHEYE")
    fx, fy, cx, cy, *k = numbers if not one_focal else (numbers[0], *numbers)
    good = (
        all(abs(value) < 1e9 for value in numbers) and min(fx, fy) > 0 and 0 < width < 1 << 20 and 0 < height < 1 << 20
    )
    if not good:
        why = f"{kind} {width}x{height} {' '.join(f'{value:g}' for value in numbers)}"
        raise BadInput("bad camera", where=where, why=why, todo=_TODO)
    pinhole = Pinhole(fx, fy, cx - CORNER_CENTRE, cy - CORNER_CENTRE, width, height)
    if kind in ("FOV", "THIN_PRISM_FISHEYE"):
        todo = "undistort the photos with COLMAP's image_undistorter"
        raise BadInput("unknown camera model", where=where, why=f"{kind} is not supported", todo=todo)
    if kind.endswith("FISHEYE"):
        return pinhole, Lens(tuple(k), fisheye=True)
    if kind in ("SIMPLE_RADIAL", "RADIAL"):
        k = [*k, 0.0][:2]  # radial terms alone
    return pinhole, Lens(tuple(k))


def _read_images(model: Path) -> list[_Image]:
    path, data = _bytes(model, "images")
    if path.suffix == ".bin":
        return _images_of_bytes(_Bytes(path, data))
    images = []
    lines = _lines(path, data, keep_empty=True)
    for line in lines[::2]:
        words = line.split(maxsplit=9)
        try:
            numbers = tuple(map(float, words[1:8]))
            images.append(_image(path, int(words[0]), words[9].strip(), numbers[:4], numbers[4:], int(words[8])))
        except (ValueError, IndexError) as error:
            raise BadInput("damaged COLMAP model", where=path, why=f"the line {line!r:.60}", todo=_TODO) from error
    return images


def _images_of_bytes(stream: _Bytes) -> list[_Image]:
    images = []
    for _ in range(stream.count(73)):
        number, *pose, camera = stream.values("i7di")
        name = stream.word()
        (points,) = stream.values("Q")
        stream.skip(24 * points)
        images.append(_image(stream.path, number, name, tuple(pose[:4]), tuple(pose[4:]), camera))
    return images


def _points_of_bytes(stream: _Bytes) -> list[tuple[tuple[float, ...], tuple[int, ...]]]:
    """Of each point its place, and the numbers of the photos that show it."""
    points = []
    for _ in range(stream.count(51)):
        _, *place = stream.values("Q3d")
        stream.skip(11)  # colour and error
        (length,) = stream.values("Q")
        pairs = stream.values(f"{2 * min(length, len(stream.data))}i")
        points.append((_place(stream.path, place), pairs[::2]))
    return points


def _points_of_text(path: Path, data: bytes) -> list[tuple[tuple[float, ...], tuple[int, ...]]]:
    points = []
    for line in _lines(path, data):
        words = line.split()
        try:
            points.append((_place(path, [float(word) for word in words[1:4]]), tuple(map(int, words[8::2]))))
        except ValueError as error:
            raise BadInput("damaged COLMAP model", where=path, why=f"the line {line!r:.60}", todo=_TODO) from error
    return points


def _place(path: Path, values: Sequence[float]) -> tuple[float, ...]:
    if len(values) != 3 or not all(abs(value) < LARGEST for value in values):
        raise BadInput("damaged COLMAP model", where=path, why=f"a point at {values}", todo=_TODO)
    return tuple(values)


def _image(
    path: Path, number: int, name: str, quaternion: tuple[float, ...], shift: tuple[float, ...], camera: int
) -> _Image:
    length = math.sqrt(sum(q * q for q in quaternion))
    if not (math.isfinite(length) and length > 1e-9 and all(abs(t) < 1e300 for t in shift)):
        raise BadInput("bad camera", where=f"{path}: {name:.80}", why="its pose is not finite or empty", todo=_TODO)
    return _Image(number, name, tuple(q / length for q in quaternion), shift, camera)


def _lines(path: Path, data: bytes, *, keep_empty: bool = False) -> list[str]:
    """Without comments; images.txt has an empty line where a photo has no points."""
    try:
        lines = [line.strip() for line in data.decode("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise BadInput("damaged COLMAP model", where=path, why="it is no text", todo=_TODO) from error
    return [line for line in lines if not line.startswith("#") and (line or keep_empty)]


def _view(place: Path, model: Path, image: _Image, cameras: dict[int, tuple[Pinhole, Lens]]) -> FoundView:
    if image.camera not in cameras:
        why = f"camera {image.camera} is not in the model"
        raise BadInput("damaged COLMAP model", where=f"{model}: {image.name:.80}", why=why, todo=_TODO)
    check_name(image.name, str(model), _TODO)
    w, x, y, z = image.quaternion
    rotation = (  # camera -> world: the transpose of the quaternion's own
        (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)),
        (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)),
        (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)),
    )
    a, b, c = (-sum(r * t for r, t in zip(row, image.shift, strict=True)) for row in rotation)
    pinhole, lens = cameras[image.camera]
    return FoundView(place / image.name, rotation, (a, b, c), pinhole, lens)


def _refuse_missing(place: Path, views: Sequence[FoundView], model: Path) -> None:
    if not place.is_dir():
        raise InputMissing("no image folder", where=place, todo="put the images there")
    missing = [view.image.name for view in views if not view.image.is_file()]
    if missing:
        why = f"{len(missing)} of {len(views)}: {listed(missing)}"
        raise InputMissing("no such photo", where=model, why=why, todo=f"put them into {place.name}/")


def _spaced(numbers: Sequence[float]) -> str:
    return " ".join(map(repr, numbers))


def _one_word(name: str) -> str:
    """COLMAP's names end at the first blank."""
    return "".join(letter if letter.isprintable() and letter != " " else "_" for letter in name)
