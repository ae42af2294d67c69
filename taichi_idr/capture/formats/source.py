"""What every reader of a format stands on: which files of a folder are photos, and where a capture's files are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import BadInput, InputMissing

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
_FOREIGN = {".heic", ".heif", ".gif", ".avif", ".exr", ".hdr", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".jp2"}


@dataclass(frozen=True)
class Layout:
    """The files of a capture. masks: None where photos carry their silhouette as alpha, empty where there are none."""

    cameras: Path
    intrinsics: Path
    images: list[Path]
    masks: list[Path] | None


def list_images(folder: Path, what: str) -> list[Path]:
    """The image files of a folder, sorted by name; hidden files and files of other kinds are passed over.

    Raises InputMissing without the folder; BadInput for a kind of image that is not read, or names equal but for case.
    """
    if not folder.is_dir():
        raise InputMissing(f"no {what} folder", where=folder, todo=f"put the {what}s there")
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise BadInput("cannot read folder", where=folder, why=error.strerror or str(error)) from error
    for path in files:
        if path.suffix.lower() in _FOREIGN:
            why = f"{path.suffix} is not supported"
            raise BadInput("unsupported image", where=path, why=why, todo="convert it to PNG or JPEG")
    images = [path for path in files if path.suffix.lower() in _SUFFIXES]
    _refuse_twins(images)
    return images


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
