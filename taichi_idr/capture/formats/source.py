"""What every reader of a format stands on: which files of a folder are photos, and where a capture's files are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import BadInput, InputMissing

SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
RAW = {".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"}
_FOREIGN = {".heic", ".heif", ".gif", ".avif", ".exr", ".hdr", ".jp2", *RAW}

IMAGE_FOLDERS = ("image", "images", "rgb")
MASK_FOLDERS = ("mask", "masks")


@dataclass(frozen=True)
class Layout:
    """The files of a capture. masks: None where photos carry their silhouette as alpha, empty where there are none."""

    cameras: Path
    intrinsics: Path
    images: list[Path]
    masks: list[Path] | None


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


def refuse_outside(path: Path, capture: Path) -> None:
    """Raises BadInput where a file lies outside of the capture, by a link or by its name."""
    if not path.resolve().is_relative_to(capture.resolve()):
        why = "it leaves the capture's folder"
        raise BadInput("refused", where=path, why=why, todo="copy it there, or fit with --allow-outside")


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
