"""Silhouettes: read from files or alpha channels, and looked at for what would spoil a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.measure import label

from ..errors import BadInput
from .distortion import Straightening
from .images import averaged, decode_all, opened, sixteen_bit

THRESHOLD = 127.5
BORDER_SHARE = 0.5
"""Share of the photo's rim on the object above which a mask may be inverted."""
SPECK = 1e-3
"""Share of the photo below which a bright or dark patch is noise."""
TOUCHING = 0.01
"""Share of the rim above which the object touches the border."""


@dataclass(frozen=True)
class MaskReading:
    """How to read masks: shrink by `downscale`; black is the object if `invert`; other sizes accepted if `resize`."""

    downscale: int = 1
    invert: bool = False
    resize: bool = False
    max_pixels: int = 100_000_000


def read_masks(
    files: Sequence[Path],
    sizes: Sequence[tuple[int, int]],
    reading: MaskReading,
    lenses: Mapping[Path, Straightening] | None = None,
) -> list[np.ndarray]:
    """Masks (H, W) bool. sizes: width and height of the photos as in their files. lenses: of masks to be straightened.

    Raises BadInput, naming the file: unreadable, or of another size than its photo.
    """
    expected = dict(zip(files, sizes, strict=True))
    bent = lenses or {}
    return decode_all(lambda path: _read_mask(path, expected[path], reading, bent.get(path)), files)


def threshold_mask(grey: Image.Image, reading: MaskReading) -> np.ndarray:
    """White is object (section 7): above 127.5 after averaging."""
    bright = np.array(averaged(grey, reading.downscale)) > THRESHOLD
    return ~bright if reading.invert else bright


def bright_mask(colour: np.ndarray, threshold: int) -> np.ndarray:
    """Of a photo (H, W, 3) uint8 of a dark background: where a channel is above the threshold, but for specks."""
    mask = colour.max(axis=2) > threshold
    for part in (mask, ~mask):  # bright specks outside, dark ones inside
        labels = np.asarray(label(part, connectivity=1))
        small = np.bincount(labels.ravel()) < SPECK * mask.size
        mask ^= part & small[labels]
    return mask


def check_masks(names: Sequence[str], masks: Sequence[np.ndarray], *, inverted: bool) -> list[str]:
    """Warnings about silhouettes. Raises BadInput: an empty one, none at all, or black and white exchanged."""
    covered = np.array([mask.mean() for mask in masks])
    if np.all(covered == 1):
        todo = "give masks that are black where the background is"
        raise BadInput("no silhouette", where="masks", why="all pixels of every mask are object", todo=todo)
    _refuse_inverted(masks, covered, inverted)
    empty = [name for name, share in zip(names, covered, strict=True) if share == 0]
    if empty:
        why = "no pixel is object"
        raise BadInput("empty mask", where=", ".join(empty[:5]), why=why, todo="correct it or remove the view")
    return _mask_warnings(names, masks, covered)


def _read_mask(path: Path, size: tuple[int, int], reading: MaskReading, lens: Straightening | None) -> np.ndarray:
    with opened(path, reading.max_pixels) as image:
        grey = _grey(image)
        if grey.size != size:
            if not reading.resize:
                why = f"{grey.width}x{grey.height} pixels, its photo has {size[0]}x{size[1]}"
                todo = "make them equal or use --resize-masks"
                raise BadInput("mask of another size", where=path, why=why, todo=todo)
            grey = grey.resize(size, Image.Resampling.BILINEAR)
        if lens is not None:
            grey = lens.image(grey)
        return threshold_mask(grey, reading)


def _grey(image: Image.Image) -> Image.Image:
    """8-bit grey: 16 bits are scaled, masks of 0 and 1 (or of 8-bit values in 16) are stretched."""
    wide = sixteen_bit(image)
    grey = image if image.mode == "L" else image.convert("RGB").convert("L")
    values = np.asarray(grey) if wide is None else wide
    largest = int(values.max())
    if largest > 255:
        values = np.rint(values / 257)
    elif largest == 1:
        values = values * 255
    return Image.fromarray(values.astype(np.uint8))


def _rim(mask: np.ndarray) -> np.ndarray:
    return np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def _refuse_inverted(masks: Sequence[np.ndarray], covered: np.ndarray, inverted: bool) -> None:
    """An object's mask is denser inside than on the rim; of an inverted one the opposite is true."""
    rims = np.array([_rim(mask).mean() for mask in masks])
    suspicious = (rims > BORDER_SHARE) & (rims > covered)
    if suspicious.mean() <= 0.5:
        return
    why = f"the object reaches {100 * rims.mean():.0f} % of the photos' rims but covers {100 * covered.mean():.0f} %"
    todo = "omit --invert-masks" if inverted else "use --invert-masks"
    raise BadInput("masks look inverted", where=f"{suspicious.sum()} of {len(masks)} views", why=why, todo=todo)


def _mask_warnings(names: Sequence[str], masks: Sequence[np.ndarray], covered: np.ndarray) -> list[str]:
    found = []
    full = [name for name, share in zip(names, covered, strict=True) if share == 1]
    if full:
        found.append(f"masks that cover the whole photo and say nothing about the silhouette ({', '.join(full[:5])})")
    touching = [_rim(mask).mean() > TOUCHING for mask in masks]
    if np.mean(touching) > 0.5:
        found.append(f"the object touches the border in {sum(touching)} of {len(masks)} views: it may be cut off")
    return found
