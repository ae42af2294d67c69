"""Silhouettes: read from files of any two values, or alpha channels, and looked at for what would spoil a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.measure import label

from ..errors import BadInput
from ..types import MAX_PIXELS
from .distortion import Straightening
from .images import averaged, decode_all, one_after_other, opened, sixteen_bit

THRESHOLD = 127.5
FULL = (64, 192)
"""Grey values: masks that reach below the first and above the second are black and white, whatever lies between."""
USUAL = {(0, 1), (0, 255), (0, 257)}
"""Pairs of values that need no word: labels, 8 bit, 16 bit (in 1/257)."""
FLAT_SHARE, FLAT_APART = 2e-3, 0.025
"""Share of a mask that one value has to fill evenly to count as a class of its own, and its least distance from
others, in shares of the range: soft outlines and JPEG's noise do neither."""
BORDER_SHARE = 0.5
"""Share of the photo's rim on the object above which a mask may be inverted."""
SPECK = 1e-3
"""Share of the photo below which a bright or dark patch is noise."""
FEWEST = 5  # views: of fewer, none is outvoted
TOUCHING = 0.01
"""Share of the rim above which the object touches the border."""
_TODO = "make them two: background and object; pixels that belong to neither go into ignore/"


@dataclass(frozen=True)
class MaskReading:
    """How to read masks: shrink by `downscale`; black is the object if `invert`; other sizes accepted if `resize`.

    values: grey levels of background and object, 0 to 255.
    """

    downscale: int = 1
    invert: bool = False
    resize: bool = False
    max_pixels: int = MAX_PIXELS
    values: tuple[int, int] = (0, 255)


@dataclass(frozen=True)
class _Levels:
    """Of one file: its darkest and brightest value, and those that fill areas of it."""

    low: int
    high: int
    flat: tuple[int, ...]


def read_masks(
    files: Sequence[Path],
    sizes: Sequence[tuple[int, int]],
    reading: MaskReading,
    lenses: Mapping[Path, Straightening] | None = None,
) -> tuple[list[np.ndarray], list[str]]:
    """Masks (H, W) bool, and warnings. sizes: width and height of the photos as in their files. lenses: of masks to be
    straightened.

    All files together tell which two values there are: 0 and 255, 0 and 1, 0 and 100, black and red; the brighter one
    is the object. Soft outlines are cut in the middle. Raises BadInput, naming the file: unreadable, of another size
    than its photo, of three values or more.
    """
    expected = dict(zip(files, sizes, strict=True))
    bent = lenses or {}

    shapes = [(height // reading.downscale, width // reading.downscale) for width, height in sizes]
    masks = one_after_other(shapes, bool)
    places = dict(zip(files, masks, strict=True))

    def read(how: MaskReading) -> list[_Levels]:
        return decode_all(lambda path: _read_mask(path, expected[path], how, bent.get(path), places[path]), files)

    values = _two_values(files, read(reading))
    if values[0] < FULL[0] and values[1] >= FULL[1]:
        return masks, []
    read(replace(reading, values=values))  # rare: decoded twice, held once
    which = "darker" if reading.invert else "brighter"
    text = f"masks have the values {values[0]} and {values[1]}: the {which} one is taken for the object"
    return masks, [] if values in USUAL else [text]


def threshold_mask(grey: Image.Image, reading: MaskReading) -> np.ndarray:
    """White is object (section 7): above 127.5 after averaging."""
    bright = np.array(averaged(grey, reading.downscale)) > THRESHOLD
    return ~bright if reading.invert else bright


def bright_mask(colour: np.ndarray, threshold: int) -> np.ndarray:
    """Of a photo (H, W, 3) uint8 of a dark background: where a channel is above the threshold, but for specks."""
    mask = colour.max(axis=2) > threshold
    return without_specks(mask, SPECK * mask.size)


def without_specks(mask: np.ndarray, least: float) -> np.ndarray:
    """(H, W) bool, without parts and holes of fewer pixels."""
    found = mask.copy()
    for part in (mask, ~mask):  # bright specks outside, dark ones inside
        labels = np.asarray(label(part, connectivity=1))
        small = np.bincount(labels.ravel()) < least
        found ^= part & small[labels]
    return found


def object_box(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that the object lies in; empty ones where there is none."""
    sides = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    rows, columns = (slice(int(side[0]), int(side[-1]) + 1) if len(side) else slice(0, 0) for side in sides)
    return rows, columns


def has_silhouettes(masks: Sequence[np.ndarray]) -> bool:
    """Whether any photo of a capture has background: a capture without masks is all object."""
    return not all(mask.all() for mask in masks)


def check_masks(names: Sequence[str], masks: Sequence[np.ndarray], *, inverted: bool) -> list[str]:
    """Warnings about silhouettes. Raises BadInput: an empty one, none at all, or black and white exchanged."""
    covered = np.array([mask.mean() for mask in masks])
    if np.all(covered == 1):
        todo = "give masks that are black where the background is"
        raise BadInput("no silhouette", where="masks", why="all pixels of every mask are object", todo=todo)
    odd = _inverted(names, masks, covered, inverted=inverted)
    empty = [name for name, share in zip(names, covered, strict=True) if share == 0]
    if empty:
        why = "no pixel is object"
        raise BadInput("empty mask", where=", ".join(empty[:5]), why=why, todo="correct it or remove the view")
    return odd + _mask_warnings(names, masks, covered)


def _read_mask(
    path: Path, size: tuple[int, int], reading: MaskReading, lens: Straightening | None, place: np.ndarray
) -> _Levels:
    """Puts the mask into its place."""
    with opened(path, reading.max_pixels) as image:
        values = _grey_values(image)
    levels = _levels(values)
    if values.max() > 255:
        values = np.rint(values / 257)
    low, high = reading.values
    if (low, high) != (0, 255):
        values = np.clip((values.astype(np.float32) - low) * (255 / (high - low)), 0, 255)
    grey = Image.fromarray(values.astype(np.uint8))
    if grey.size != size:
        if not reading.resize:
            why = f"{grey.width}x{grey.height} pixels, its photo has {size[0]}x{size[1]}"
            todo = "make them equal or use --resize-masks"
            raise BadInput("mask of another size", where=path, why=why, todo=todo)
        grey = grey.resize(size, Image.Resampling.BILINEAR)
    if lens is not None:
        grey = lens.image(grey)
    place[:] = threshold_mask(grey, reading)
    return levels


def _grey_values(image: Image.Image) -> np.ndarray:
    """(H, W) integers: alpha where it varies, else brightness; the numbers of a palette whose colours do not vary."""
    wide = sixteen_bit(image)
    if wide is not None:
        return wide
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
        if alpha.min() < alpha.max():
            return alpha
    grey = np.asarray(image if image.mode == "L" else image.convert("RGB").convert("L"))
    return np.asarray(image) if image.mode == "P" and grey.min() == grey.max() else grey


def _levels(values: np.ndarray) -> _Levels:
    """In 8 bit; a class is a value that fills areas: whose pixels are surrounded by their like."""
    low, high = int(values.min()), int(values.max())
    inner = values[1:-1, 1:-1]
    even = np.ones(inner.shape, bool)
    for neighbour in (values[:-2, 1:-1], values[2:, 1:-1], values[1:-1, :-2], values[1:-1, 2:]):
        even &= inner == neighbour
    counts = np.bincount(inner[even].ravel(), minlength=high + 1)
    classes: list[int] = []
    for value in np.flatnonzero(counts > FLAT_SHARE * values.size).tolist():
        if not classes or value - classes[-1] > FLAT_APART * (high - low):
            classes.append(value)
    unit = 257 if high > 255 else 1
    return _Levels(round(low / unit), round(high / unit), tuple(round(value / unit) for value in classes))


def _two_values(files: Sequence[Path], levels: Sequence[_Levels]) -> tuple[int, int]:
    """Of all files together. Raises BadInput, naming one that has more."""
    for path, one in zip(files, levels, strict=True):
        if len(one.flat) > 2:
            why = f"areas of the values {', '.join(map(str, one.flat[:6]))}{' ...' if len(one.flat) > 6 else ''}"
            raise BadInput("mask of more than two values", where=path, why=why, todo=_TODO)
    low, high = min(one.low for one in levels), max(one.high for one in levels)
    return (low, high) if low < high else (0, 255)


def rim_share(mask: np.ndarray) -> float:
    """Share of the photo's outermost pixels that are on the object."""
    return float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean())


def _inverted(names: Sequence[str], masks: Sequence[np.ndarray], covered: np.ndarray, *, inverted: bool) -> list[str]:
    """Names masks that look inverted. An object's mask is denser inside than on the rim; of an inverted one the
    opposite is true. Raises BadInput where most are."""
    rims = np.array([rim_share(mask) for mask in masks])
    suspicious = (rims > BORDER_SHARE) & (rims > covered)
    if suspicious.mean() <= 0.5:
        some = [name for name, odd in zip(names, suspicious, strict=True) if odd]
        few = len(masks) < FEWEST  # of more, cameras tell
        return [f"masks look inverted, unlike the others ({', '.join(some[:5])})"] if some and few else []
    why = f"the object reaches {100 * rims.mean():.0f} % of the photos' rims but covers {100 * covered.mean():.0f} %"
    todo = "omit --invert-masks" if inverted else "use --invert-masks"
    raise BadInput("masks look inverted", where=f"{suspicious.sum()} of {len(masks)} views", why=why, todo=todo)


def _mask_warnings(names: Sequence[str], masks: Sequence[np.ndarray], covered: np.ndarray) -> list[str]:
    found = []
    full = [name for name, share in zip(names, covered, strict=True) if share == 1]
    if full:
        found.append(f"masks that cover the whole photo and say nothing about the silhouette ({', '.join(full[:5])})")
    touching = [rim_share(mask) > TOUCHING for mask in masks]
    if np.mean(touching) > 0.5:
        found.append(f"the object touches the border in {sum(touching)} of {len(masks)} views: it may be cut off")
    return found
