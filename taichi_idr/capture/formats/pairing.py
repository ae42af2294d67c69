"""Which mask belongs to which photo, what of it is to be ignored, and its depth: by name, since equal numbers prove
nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ...errors import BadInput, InputMissing
from ...types import CaptureReading
from .source import (
    DEPTH_FOLDERS,
    IGNORE_FOLDER,
    MASK_FOLDERS,
    SUFFIXES,
    common_folder,
    folder_of,
    has_alpha,
    list_depths,
    list_images,
    listed,
)

_WORDS = "mask|masks|ignore|seg|segmentation|silhouette|alpha|matte|object|depth"
_BEFORE = re.compile(rf"^(?:{_WORDS})[ ._-]+", re.IGNORECASE)
_AFTER = re.compile(rf"[ ._-]+(?:{_WORDS})$", re.IGNORECASE)


def find_masks(
    capture: Path, images: Sequence[Path], reading: CaptureReading, *, needed: bool, below: Path | None = None
) -> list[Path] | None:
    """The mask of each photo, in the capture's folder of them; None where all photos carry alpha instead, empty where
    there are none and none are needed. Where the reading names a folder of silhouettes, they are there.

    below: the photos' folder where they may lie in folders of it, by default the one that they have in common; their
    masks are below the same ones, or all in one. Raises InputMissing, BadInput.
    """
    folder = folder_of(capture, MASK_FOLDERS)
    if reading.silhouettes is not None:
        chosen = capture / reading.silhouettes
        folder = next((chosen / name for name in MASK_FOLDERS if (chosen / name).is_dir()), chosen)
    if not folder.is_dir():
        opaque = [image for image in images if not has_alpha(image)]
        if not opaque:
            return None
        if len(opaque) < len(images) / 2:
            why = f"{len(images) - len(opaque)} of {len(images)} photos carry their silhouette as alpha, not this one"
            raise BadInput(
                "photo without alpha", where=opaque[0], why=why, todo="cut it out too, or give masks for all"
            )
        if not needed:
            return []
        todo = f"put the masks there, or have them cut: tidr mask {capture}, or fit with --preset maskless"
        raise InputMissing("no mask folder", where=folder, todo=todo)
    base = below or common_folder(images)
    groups: dict[Path, list[Path]] = {}
    for image in images:
        own = folder / image.parent.relative_to(base)
        groups.setdefault(own if own.is_dir() else folder, []).append(image)
    found: dict[Path, Path] = {}
    for place, some in groups.items():
        masks = list_images(place, "mask", inside=None if reading.allow_outside or reading.silhouettes else capture)
        found |= zip(some, paired_masks(place, some, masks), strict=True)
    return [found[image] for image in images]


def find_ignored(capture: Path, images: Sequence[Path], reading: CaptureReading) -> list[Path | None]:
    """The picture of what is to be ignored in each photo, None for a photo that has none; empty without a folder of
    them. Raises InputMissing: no such folder was chosen; BadInput: a photo has two, or none belongs to any photo."""
    folder = capture / (reading.ignore or IGNORE_FOLDER)
    if not folder.is_dir():
        if reading.ignore:
            raise InputMissing("no such folder", where=f"--ignore {folder}", todo="name one in the capture, or a path")
        return []
    inside = None if reading.allow_outside or reading.ignore else capture
    listing = partial(list_images, what="ignore", inside=inside)
    return _of_some(folder, images, "pictures to ignore", listing)


def find_depths(capture: Path, images: Sequence[Path], reading: CaptureReading) -> list[Path | None]:
    """The depth map of each photo, None for a photo that has none; empty without a folder of them. Raises BadInput: a
    photo has two, or none belongs to any photo."""
    folder = folder_of(capture, DEPTH_FOLDERS)
    if not folder.is_dir():
        return []
    listing = partial(list_depths, inside=None if reading.allow_outside else capture)
    return _of_some(folder, images, "depth maps", listing)


def ignore_folder(capture: Path, chosen: Path | None) -> str | None:
    """The `ignore` of a CaptureReading: a folder in the capture or, where there is none of that name, a path."""
    if chosen is None:
        return None
    return str(chosen if (capture / chosen).is_dir() else chosen.resolve())


def paired_masks(folder: Path, images: Sequence[Path], masks: Sequence[Path]) -> list[Path]:
    """The mask of each photo: of its stem, of its stem with a usual affix (`X_mask`, `mask_X`, `X.jpg.png`), or of its
    number where that tells all apart. One rule holds for all photos; masks without a photo are left out.

    Raises BadInput, naming photos that have no mask, or a photo that has two.
    """
    rules = (_stem, _bare_stem, last_number)
    found = [_by(rule, images, masks) for rule in rules]
    for rule in found:
        twice = [image for image, candidates in zip(images, rule, strict=True) if len(candidates) > 1]
        if not twice and all(rule):
            return [candidates[0] for candidates in rule]
    best = max(found, key=lambda rule: sum(len(candidates) == 1 for candidates in rule))
    lacking = [image.name for image, candidates in zip(images, best, strict=True) if not candidates]
    twice = [(image, c) for image, c in zip(images, best, strict=True) if len(c) > 1]
    if twice and not lacking:
        image, candidates = twice[0]
        why = f"{image.name} has {' and '.join(path.name for path in candidates[:2])}"
        raise BadInput("masks and images do not pair", where=folder, why=why, todo="keep the one that belongs to it")
    why = f"{len(masks)} masks for {len(images)} images, none for {listed(lacking)}"
    raise BadInput("masks and images do not pair", where=folder, why=why, todo="name each mask as its photo")


def numbers_of(images: Sequence[Path], there: set[int]) -> Sequence[int]:
    """Number of what belongs to each photo, of those that are there: its own, where numbers tell all photos apart and
    are just those (a capture of which views were taken out), else its place."""
    places, own = range(len(images)), [int(name) if (name := last_number(path)).isdigit() else -1 for path in images]
    return own if there != set(places) and len(set(own)) == len(own) and set(own) == there else places


def _of_some(
    folder: Path, images: Sequence[Path], what: str, listing: Callable[[Path], list[Path]]
) -> list[Path | None]:
    """What a folder has for each photo, below the same folders as the photos; None for a photo without. Raises
    BadInput."""
    base = common_folder(images)
    found: dict[Path, Path] = {}
    for parent in sorted({image.parent for image in images}):
        place, some = folder / parent.relative_to(base), [image for image in images if image.parent == parent]
        found |= _some_paired(place, some, what, listing(place) if place.is_dir() else [])
    if not found:
        why = "none is named as a photo"
        raise BadInput(f"{what} do not pair", where=folder, why=why, todo="name each as its photo")
    return [found.get(image) for image in images]


def _some_paired(folder: Path, images: Sequence[Path], what: str, pictures: Sequence[Path]) -> dict[Path, Path]:
    """By the rule that finds most; photos may have none."""
    found = max((_by(rule, images, pictures) for rule in (_stem, _bare_stem, last_number)), key=_count)
    for image, candidates in zip(images, found, strict=True):
        if len(candidates) > 1:
            why = f"{image.name} has {' and '.join(path.name for path in candidates[:2])}"
            raise BadInput(f"{what} do not pair", where=folder, why=why, todo="keep one")
    return {image: candidates[0] for image, candidates in zip(images, found, strict=True) if candidates}


def _count(found: Sequence[Sequence[Path]]) -> int:
    return sum(bool(candidates) for candidates in found)


def last_number(path: Path) -> str:
    """`7` of `image/000007.png` and of `mask/007.png`; the stem of a name without a number."""
    digits = re.findall(r"\d+", path.stem)
    return str(int(digits[-1])) if digits else _stem(path)


def _stem(path: Path) -> str:
    return path.stem.casefold()


def _bare_stem(path: Path) -> str:
    """`X` of `X_mask.png`, `mask_X.png` and `X.jpg.png`."""
    inner = Path(path.stem)
    stem = inner.stem if inner.suffix.lower() in SUFFIXES else path.stem
    return _AFTER.sub("", _BEFORE.sub("", stem)).casefold()


def _by(rule: Callable[[Path], str], images: Sequence[Path], masks: Sequence[Path]) -> list[list[Path]]:
    """Masks that a rule takes for each photo's; none at all where it takes two photos for one."""
    names = [rule(image) for image in images]
    if len(set(names)) < len(names):
        return [[] for _ in images]
    return [[mask for mask in masks if rule(mask) == name] for name in names]
