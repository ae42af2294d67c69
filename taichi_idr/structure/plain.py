"""What plain photos are: sizes, cameras by their metadata, blur; and copies that COLMAP can be given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from ..capture.formats.source import listed, size_of
from ..capture.images import decode_all, on_white, opened

LONGER_SIDE = 1600  # of the copies
INNER, FINE, COARSE = 0.6, 1.0, 2.5
"""Sharpness is the mean of |I - G1| over that of |G1 - G2.5| in the middle of a photo; G is a Gaussian, pixels of the
copies."""
BLURRED = 0.8  # of the photos' median sharpness
_FOCAL_35, _FOCAL, _MAKE, _MODEL, _EXIF = 0xA405, 0x920A, 0x010F, 0x0110, 0x8769
FILM = 36.0  # millimetres: longer side of what a focal length "in 35 mm film" is for


@dataclass(frozen=True)
class PlainPhoto:
    """file; size: width, height in pixels; camera: which one took it, as far as its file says; focal: length in
    pixels by its file, None where that says none."""

    file: Path
    size: tuple[int, int]
    camera: str
    focal: float | None


def copied(files: Sequence[Path], folder: Path) -> tuple[list[PlainPhoto], list[str]]:
    """Write copies without metadata into a folder, `00000.png` and so on, all shrunk by one factor (`shrinking`), and
    say which photos are blurred. Raises BadInput, naming the file: damaged, no image, too large."""
    factor = shrinking([size_of(path) for path in files])
    copies = {path: folder / copy_name(number) for number, path in enumerate(files)}
    looked_at = decode_all(lambda path: _copied(path, copies[path], factor), files)
    sharp = np.array([sharpness for _, sharpness in looked_at])
    blurred = [path.name for path, one in zip(files, sharp, strict=True) if one < BLURRED * np.median(sharp)]
    said = [f"{len(blurred)} of {len(files)} photos are blurred: {listed(blurred)}"] if blurred else []
    return [photo for photo, _ in looked_at], said


def copy_name(number: int) -> str:
    return f"{number:05d}.png"


def shrinking(sizes: Sequence[tuple[int, int]]) -> float:
    """Pixels of a photo in one of its copy, at least 1."""
    return max(1.0, max(max(size) for size in sizes) / LONGER_SIDE)


def _copied(path: Path, copy: Path, factor: float) -> tuple[PlainPhoto, float]:
    with opened(path) as image:
        camera, focal = _taken_by(image)
        colour, _ = on_white(image)
        if factor > 1:
            size = round(image.width / factor), round(image.height / factor)
            colour = colour.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
        colour.save(copy, compress_level=1)
        return PlainPhoto(path, image.size, camera, focal), sharpness(np.asarray(colour.convert("L"), np.float32))


def sharpness(grey: np.ndarray) -> float:
    """Of a photo (H, W): finest detail in the next coarser one's."""
    rows, columns = (slice(int(side * (1 - INNER) / 2), int(side * (1 + INNER) / 2) + 1) for side in grey.shape)
    part = grey[rows, columns]
    fine, coarse = (ndimage.gaussian_filter(part, sigma) for sigma in (FINE, COARSE))
    return float(np.abs(part - fine).mean() / max(np.abs(fine - coarse).mean(), 1e-6))


def _taken_by(image: Image.Image) -> tuple[str, float | None]:
    """The camera and its focal length in pixels, by the file's metadata."""
    try:
        exif = image.getexif()
        more = exif.get_ifd(_EXIF)
        camera = f"{exif.get(_MAKE, '')} {exif.get(_MODEL, '')} {float(more.get(_FOCAL, 0)):g}"
        film = float(more.get(_FOCAL_35, 0))
    except Exception:  # damaged metadata say nothing about the pixels
        return "", None
    return camera, film / FILM * max(image.size) if film > 0 else None
