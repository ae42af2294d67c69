"""Photos: which files of a folder are images, and what is in them, decoded strictly."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from ..errors import BadInput
from ..machine import available_cores
from ..types import MAX_PIXELS
from .distortion import Straightening

MIN_SIDE = 16
MOST_TOGETHER = 12
"""Photos of the largest size that all together, once they are shrunk, may have the pixels of: 1.2e9 by default, 5 GB in
a fit. 66 photos of 16 MP have fewer."""
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
WHOLE_MODES = ("I;16", "I;16B", "I;16L", "I")
"""Of grey pixels of more than 8 bits."""
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", *WHOLE_MODES)
_DEFLATE = 1032  # most bytes that one of a PNG becomes: 258 by two bits (RFC 1951, 3.2.5)
_WORKERS = 4
_ORIENTATION = 0x0112
_T = TypeVar("_T")


@dataclass(frozen=True)
class Photo:
    """`colour` (H, W, 3) uint8 RGB; `alpha` (H, W) uint8 where the file has one, the colour then lies on white.

    `full_size`: width, height of the file. `remarks`: what was odd about it.
    """

    colour: np.ndarray
    alpha: np.ndarray | None
    full_size: tuple[int, int]
    remarks: tuple[str, ...]


def read_photos(
    files: Sequence[Path],
    *,
    downscale: int = 1,
    max_pixels: int = MAX_PIXELS,
    straightened: Mapping[Path, Straightening] | None = None,
) -> list[Photo]:
    """Decode photos, straighten some, and average each over downscale x downscale pixels; a last incomplete block is
    dropped.

    Raises BadInput, naming the file: empty, no image, damaged, too large, too small; or for all: too large together.
    """
    lenses = straightened or {}
    shapes = [_shrunk_shape(path, downscale, max_pixels) for path in files]
    _check_together(shapes, downscale, max_pixels)
    places = dict(zip(files, one_after_other(shapes), strict=True))
    return decode_all(lambda path: _read_photo(path, downscale, max_pixels, lenses.get(path), places[path]), files)


def one_after_other(shapes: Sequence[tuple[int, ...]], dtype: type = np.uint8) -> list[np.ndarray]:
    """Empty arrays that lie one after the other in memory, so that they are one table too, without a copy."""
    whole = np.empty(sum(math.prod(shape) for shape in shapes), dtype)
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(whole, ends[:-1]), shapes, strict=True)]


def decode_all(read: Callable[[Path], _T], files: Sequence[Path]) -> list[_T]:
    """`read` of each file, a few at a time; the first failure in the files' order is raised."""
    with _strict_pillow(), ThreadPoolExecutor(min(_WORKERS, available_cores())) as pool:
        futures = [pool.submit(read, path) for path in files]
        try:
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def opened(path: Path, max_pixels: int | None = None) -> Iterator[Image.Image]:
    """A decoded image of one of MODES. Raises BadInput, naming the file: no image, damaged, too large, too small.

    max_pixels: None where whoever asks lets nobody choose: MAX_PIXELS.
    """
    with decoded(path, max_pixels) as image:
        if image.mode not in MODES:
            why = f"pixels of mode {image.mode} are not supported"
            raise BadInput("unsupported image", where=path, why=why, todo="convert it to 8 or 16 bits")
        yield image


def sixteen_bit(image: Image.Image) -> np.ndarray | None:
    """The values (H, W) of a 16-bit grey image as int32, None for any other."""
    return np.asarray(image).astype(np.int32).clip(0, 65535) if image.mode in WHOLE_MODES else None


def on_white(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """RGB and alpha: pixels that let something through lie on white, as rays without a hit render (section 5)."""
    wide = sixteen_bit(image)
    if wide is not None:
        return Image.fromarray(np.rint(wide / 257).astype(np.uint8)).convert("RGB"), None
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB"), None
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    white = Image.new("RGB", image.size, (255, 255, 255))
    return Image.composite(rgba.convert("RGB"), white, alpha), alpha


def averaged(image: Image.Image, factor: int) -> Image.Image:
    """Mean over blocks of factor x factor pixels; a last incomplete block is dropped."""
    if factor == 1:
        return image
    width, height = (side // factor * factor for side in image.size)
    return image.crop((0, 0, width, height)).reduce(factor)


def summarised(paths: Sequence[Path], remarks: Sequence[Sequence[str]]) -> list[str]:
    """One warning per kind of remark, with the first file and the number of files."""
    files: dict[str, list[Path]] = {}
    for path, texts in zip(paths, remarks, strict=True):
        for text in texts:
            files.setdefault(text, []).append(path)
    return [f"{text} ({found[0]}{_others(len(found) - 1)})" for text, found in files.items()]


def _others(count: int) -> str:
    return f" and {count} more" if count else ""


def _check_together(shapes: Sequence[tuple[int, int, int]], downscale: int, max_pixels: int) -> None:
    """Before memory is taken for photos (H, W, 3): a file of 400 KB may hold 100 MP."""
    pixels, most = sum(height * width for height, width, _ in shapes), MOST_TOGETHER * max_pixels
    if pixels > most:
        factor = downscale * math.ceil(math.sqrt(pixels / most))
        why = f"{pixels / 1e6:,.0f} million pixels, at most {most / 1e6:,.0f}"
        todo = f"use --downscale {factor}, or a larger --max-pixels"
        raise BadInput("photos too large together", where=f"{len(shapes)} photos", why=why, todo=todo)


def _shrunk_shape(path: Path, downscale: int, max_pixels: int) -> tuple[int, int, int]:
    """Of the photo to come, told by its file's head; of one that will not be decoded, none."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
    except Exception:  # said when it is decoded
        return 0, 0, 3
    return (height // downscale, width // downscale, 3) if width * height <= max_pixels else (0, 0, 3)


def _read_photo(path: Path, downscale: int, max_pixels: int, lens: Straightening | None, place: np.ndarray) -> Photo:
    with opened(path, max_pixels) as image:
        remarks = _remarks(image)
        colour, alpha = on_white(image)
        if lens is not None:
            colour, alpha = lens.image(colour), None if alpha is None else lens.image(alpha)
        if min(image.size) // downscale < MIN_SIDE:
            why = f"{image.width}x{image.height} pixels; downscale {downscale} leaves less than {MIN_SIDE}"
            raise BadInput("image too small", where=path, why=why, todo="use larger photos or a smaller --downscale")
        small = None if alpha is None else np.array(averaged(alpha, downscale))
        place[:] = averaged(colour, downscale)
        return Photo(place, small, image.size, remarks)


def decoded(path: Path, max_pixels: int | None) -> Image.Image:
    """As `opened`, of any mode. Raises BadInput, naming the file: no image, damaged, too large, too small."""
    try:
        with ExitStack() as until_whole:
            image = until_whole.enter_context(Image.open(path, formats=_FORMATS))
            _check_size(path, image.size, max_pixels)
            _check_content(path, image)
            image.load()
            until_whole.pop_all()
            return image
    except (BadInput, MemoryError):
        raise
    except UnidentifiedImageError as error:
        why = "the file is empty" if path.stat().st_size == 0 else "not an image"
        raise BadInput("unreadable image", where=path, why=why, todo="replace it by a PNG or JPEG") from error
    except Exception as error:  # Pillow's plugins raise many kinds on damaged bytes
        why = f"damaged or cut short ({error})"
        raise BadInput("unreadable image", where=path, why=why, todo="replace the file") from error


def _remarks(image: Image.Image) -> tuple[str, ...]:
    remarks = []
    if image.mode in ("1", "L", "LA", "P", "PA", *WHOLE_MODES):
        remarks.append("grey or palette image converted to RGB")
    if _pages(image) > 1:
        remarks.append("only the first page of the image is read")
    if _orientation(image) not in (0, 1):
        remarks.append("EXIF orientation ignored: cameras refer to the pixels as stored")
    return tuple(remarks)


def _pages(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # damage behind the first page does no harm
        return 1


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata say nothing about the pixels
        return 1


def _check_size(path: Path, size: tuple[int, int], max_pixels: int | None) -> None:
    shape, pixels, most = f"{size[0]}x{size[1]} pixels", size[0] * size[1], max_pixels or MAX_PIXELS
    if pixels > most:
        todo = "shrink the photos"
        if max_pixels:
            todo += " (and the first two rows of the camera matrices), or use a larger --max-pixels"
        raise BadInput("image too large", where=path, why=f"{shape}, at most {most}", todo=todo)
    if min(size) < MIN_SIDE:
        todo = "use larger photos"
        raise BadInput("image too small", where=path, why=f"{shape}, at least {MIN_SIDE} a side", todo=todo)


def _check_content(path: Path, image: Image.Image) -> None:
    """Before memory is taken for what a PNG says that it has and so short a file cannot hold: pixels, one bit each at
    least, or a chunk, which Pillow reads in one go."""
    if image.format != "PNG":
        return
    size = path.stat().st_size
    why = ""
    if image.width * image.height > 8 * _DEFLATE * size:
        why = f"{size} bytes for {image.width}x{image.height} pixels"
    elif longest := _chunk_past_end(path, size):
        why = f"{size} bytes, one chunk has {longest}"
    if why:
        raise BadInput("unreadable image", where=path, why=f"damaged or cut short ({why})", todo="replace the file")


def _chunk_past_end(path: Path, size: int) -> int:
    """Bytes of a PNG's first chunk that is longer than what is left of the file; 0 where none is."""
    at = 8  # behind the signature
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            if at + 8 + length > size:
                return length
            if kind == b"IEND":
                return 0
            at += 12 + length  # and its checksum
    return 0


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Our own limit on pixels instead of Pillow's, no half-decoded images, no Python warnings about odd metadata."""
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before
