"""What every reader of a format stands on: which files of a folder are photos, and where a capture's files are."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import BadInput, InputMissing

if TYPE_CHECKING:
    import numpy as np

    from ...types import Cameras

SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
RAW = {".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"}
_FOREIGN = {".heic", ".heif", ".gif", ".avif", ".exr", ".hdr", ".jp2", *RAW}

IMAGE_FOLDERS = ("image", "images", "rgb")
MASK_FOLDERS = ("mask", "masks")
IGNORE_FOLDER = "ignore"
DEPTH_FOLDERS = ("depth", "depths", "rendered_depth_maps")
DEPTH_SUFFIXES = {".png", ".tif", ".tiff", ".npy", ".npz", ".pfm"}
CORNER_CENTRE = 0.5
"""Pixels from a pixel's corner, where other formats count from, to its centre, where we do."""
_TOLD = 5  # names in an error


@dataclass(frozen=True)
class Pinhole:
    """Of one photo: focal lengths and principal point in pixels, integer coordinates at pixel centres, and its size.

    skew: columns by which a step of one focal length downwards moves a pixel, K[0, 1].
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    skew: float = 0.0


@dataclass(frozen=True)
class Lens:
    """How a lens bends (OpenCV's models): k1 k2 p1 p2 k3 k4 k5 k6, and the factor of r^8 that Metashape has beside
    those of r^2 to r^6; or the fisheye's k1 k2 k3 k4."""

    coefficients: tuple[float, ...]
    fisheye: bool = False

    @property
    def bends(self) -> bool:
        return self.fisheye or any(self.coefficients)

    @property
    def radial(self) -> tuple[float, ...]:
        """The coefficients without the tangential ones."""
        k = self.coefficients
        return k if self.fisheye else tuple(0.0 if i in (2, 3) else k for i, k in enumerate(k))


@dataclass(frozen=True)
class FoundView:
    """A view as a file of other formats tells it, in plain numbers: nothing heavy is needed to find it.

    rotation: camera -> world, three rows; OpenCV axes. centre: world. mask: where the file names one.
    """

    image: Path
    rotation: tuple[tuple[float, float, float], ...]
    centre: tuple[float, float, float]
    pinhole: Pinhole
    lens: Lens = Lens(())
    mask: Path | None = None


@dataclass(frozen=True)
class Layout:
    """The files of a capture. masks: None where photos carry their silhouette as alpha, empty where there are none.
    ignored: pictures of what is to be ignored in each photo, None for a photo without; empty where there are none.

    views: of a format whose file names its photos; else cameras and intrinsics are files that number theirs. threshold:
    where photos of a dark background have no masks, how bright, of 255, the object is. depths: map of each photo, None
    for a photo without; empty where there are none, or none are wanted. points: where their place is taken by those of
    structure from motion, the model that has them.
    """

    format: str
    cameras: Path
    intrinsics: Path
    images: list[Path]
    masks: list[Path] | None
    views: tuple[FoundView, ...] = ()
    warnings: tuple[str, ...] = ()
    ignored: tuple[Path | None, ...] = ()
    threshold: int | None = None
    depths: tuple[Path | None, ...] = ()
    points: Path | None = None


@dataclass(frozen=True)
class CameraFile:
    """`cameras` in the world frame, for photos of full size; T_world_normalised is None where it must be found.

    reflected: the file's matrices turn right hands into left ones. single: they are rounded to single precision.
    """

    cameras: Cameras
    T_world_normalised: np.ndarray | None
    warnings: list[str]
    reflected: bool = False
    single: bool = False


def list_images(folder: Path, what: str, *, inside: Path | None = None) -> list[Path]:
    """The image files of a folder, in natural order; hidden files, files of other kinds and a RAW beside its JPEG are
    passed over.

    inside: the capture, which no file may lie outside of by way of a link; None where any may. Raises InputMissing
    without the folder; BadInput for a kind of image that is not read, a link out, or names equal but for case.
    """
    if not folder.is_dir():
        raise InputMissing(f"no {what} folder", where=folder, todo=f"put the {what}s there")
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except OSError as error:
        raise BadInput("cannot read folder", where=folder, why=error.strerror or str(error)) from error
    images = sorted((path for path in files if path.suffix.lower() in SUFFIXES), key=natural)
    stems = {path.stem for path in images}
    for path in sorted(files):
        if path.suffix.lower() in _FOREIGN and not (path.suffix.lower() in RAW and path.stem in stems):
            why = f"{path.suffix} is not supported"
            raise BadInput("unsupported image", where=path, why=why, todo="convert it to PNG or JPEG")
    _refuse_twins(images)
    if inside is not None:
        for path in images:
            refuse_outside(path, inside)
    return images


def list_depths(folder: Path, *, inside: Path | None = None) -> list[Path]:
    """The depth maps of a folder, in natural order; hidden files and files that are no pictures are passed over.

    inside: as `list_images` has it. Raises BadInput for pictures that hold no depth, or hold it in a way that is not
    read; for a link out; for names equal but for case.
    """
    try:
        files = sorted((path for path in folder.iterdir() if path.is_file() and path.name[0] != "."), key=natural)
    except OSError as error:
        raise BadInput("cannot read folder", where=folder, why=error.strerror or str(error)) from error
    for path in files:
        if path.suffix.lower() in (SUFFIXES | _FOREIGN) - DEPTH_SUFFIXES:
            why, todo = f"{path.suffix} is not supported", "convert it to NPY, or to PNG of 16 bits"
            raise BadInput("unsupported depth map", where=path, why=why, todo=todo)
    maps = [path for path in files if path.suffix.lower() in DEPTH_SUFFIXES]
    _refuse_twins(maps)
    if inside is not None:
        for path in maps:
            refuse_outside(path, inside)
    return maps


def common_folder(files: Sequence[Path]) -> Path:
    """The innermost folder that holds all of them."""
    return Path(os.path.commonpath([path.parent for path in files]))


def natural(path: Path) -> tuple[list[tuple[int, int | str]], str]:
    """Sorts `2.png` before `10.png`, whatever the padding."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts if part], path.name


def folder_of(capture: Path, names: Sequence[str]) -> Path:
    """The folder of one of these names; the first where there is none. Raises BadInput where there are two."""
    found = [capture / name for name in names if (capture / name).is_dir()]
    if len(found) > 1:
        why = f"{found[1].name}/ is there too"
        raise BadInput("two folders for the same", where=found[0], why=why, todo="rename the one that is not meant")
    return found[0] if found else capture / names[0]


def folder_of_photos(folder: Path) -> Path:
    """Where the photos of a capture, or of a folder that is none yet, are: in one of IMAGE_FOLDERS, or in itself."""
    return next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), folder)


def refuse_outside(path: Path, capture: Path) -> None:
    """Raises BadInput where a file lies outside of the capture, by a link or by its name."""
    if not path.resolve().is_relative_to(capture.resolve()):
        why = "it leaves the capture's folder"
        raise BadInput("refused", where=path, why=why, todo="copy it there, or fit with --allow-outside")


def listed(names: Sequence[str]) -> str:
    """The first few of them, for an error."""
    return ", ".join(names[:_TOLD]) + (" ..." if len(names) > _TOLD else "")


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image file, from its head. Raises BadInput."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size
    except Exception as error:  # Pillow's plugins raise many kinds on damaged bytes
        raise BadInput("unreadable image", where=path, why=str(error), todo="replace the file") from error


def has_alpha(path: Path) -> bool:
    """Whether an image file has transparency; what is wrong with one is said when it is decoded."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return "A" in image.getbands()
    except Exception:  # Pillow's plugins raise many kinds on damaged bytes
        return False


def _refuse_twins(images: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in images:
        twin = seen.setdefault(path.stem.casefold(), path)
        if twin is not path:
            raise BadInput("two images of one name", where=path, why=f"{twin.name} is there too", todo="remove one")
