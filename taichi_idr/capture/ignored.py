"""Pixels that are neither object nor background: what files mark, and what a straightened lens has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import BadInput
from .distortion import Straightening
from .formats.source import Layout
from .images import averaged
from .masks import MaskReading, read_masks


def read_ignored(
    layout: Layout, sizes: Sequence[tuple[int, int]], how: MaskReading, lenses: Mapping[Path, Straightening]
) -> tuple[np.ndarray | None, ...]:
    """The `ignored` of a Capture. sizes: width and height of the photos as in their files. lenses: of bent photos.

    Raises BadInput: an unreadable file, or one of another size than its photo.
    """
    marked = _marked(layout, sizes, how, lenses)
    for image, lens in lenses.items():
        if lens.unseen.any():
            unseen = Image.fromarray(lens.unseen.astype(np.uint8) * 255)
            pixels = np.array(averaged(unseen, how.downscale)) > 0
            marked[image] = marked[image] | pixels if image in marked else pixels
    return tuple(marked.get(image) for image in layout.images) if marked else ()


def take_out(ignored: Sequence[np.ndarray | None], masks: Sequence[np.ndarray], images: Sequence[Path]) -> None:
    """Ignored pixels are False in masks from now on. Raises BadInput where nothing is left of a photo."""
    for pixels, mask, image in zip(ignored, masks, images, strict=bool(ignored)):
        if pixels is None:
            continue
        if pixels.all():
            raise BadInput(
                "nothing left of a photo", where=image, why="all of it is to be ignored", todo="leave it out"
            )
        mask &= ~pixels


def joined(ignored: tuple[np.ndarray | None, ...], more: Sequence[np.ndarray]) -> tuple[np.ndarray | None, ...]:
    """Both together; more: V arrays (H, W) bool, or none."""
    if not more:
        return ignored
    before = ignored or (None,) * len(more)
    pairs = zip(before, more, strict=True)
    return tuple((pixels if one is None else one | pixels) if pixels.any() else one for one, pixels in pairs)


def _marked(
    layout: Layout, sizes: Sequence[tuple[int, int]], how: MaskReading, lenses: Mapping[Path, Straightening]
) -> dict[Path, np.ndarray]:
    """What files mark in photos."""
    found = zip(layout.images, layout.ignored, sizes, strict=bool(layout.ignored))
    chosen = [(image, file, size) for image, file, size in found if file is not None]
    if not chosen:
        return {}
    images, files, full_sizes = zip(*chosen, strict=True)
    bent = {file: lenses[image] for image, file, _ in chosen if image in lenses}
    pixels, _ = read_masks(files, full_sizes, replace(how, invert=False), bent)
    return dict(zip(images, pixels, strict=True))
