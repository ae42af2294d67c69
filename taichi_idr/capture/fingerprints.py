"""What the files of a capture hold, in a few letters each: whether they are still those that a fit began with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..files.reading import opened
from .formats.source import SUFFIXES, Layout
from .support import FILE

CUT_MASKS = "masks.json"  # which masks the program has cut
EXPOSURES = "exposures.json"
DEPTH_SCALE = "depth.json"  # world units in a step of whole numbers

LETTERS = 16
BLOCK = 1 << 20
MOST_BYTES = 64 << 30  # of a video
_POINTS = "points3D"  # of COLMAP's models: large, and seldom read


def fingerprints(folder: Path, layout: Layout) -> dict[str, str]:
    """The beginning of SHA-256 of every file that a capture is read from, by its path from the folder.

    Raises BadInput for a file that cannot be read.
    """
    files = dict.fromkeys(_files(folder, layout))
    names = [str(file.relative_to(folder) if file.is_relative_to(folder) else file.name) for file in files]
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(fingerprint, files), strict=True))


def fingerprint(file: Path) -> str:
    """The beginning of a file's SHA-256. Raises BadInput where it cannot be read."""
    found = hashlib.sha256()
    with opened(file, MOST_BYTES) as stream:
        while block := stream.read(BLOCK):
            found.update(block)
    return found.hexdigest()[:LETTERS]


def _files(folder: Path, layout: Layout) -> Iterator[Path]:
    yield from layout.images
    yield from layout.masks or ()
    yield from (file for file in (*layout.ignored, *layout.depths) if file is not None)
    for cameras in (layout.cameras, layout.intrinsics):
        inside = sorted(cameras.iterdir()) if cameras.is_dir() else [cameras]
        used = (file for file in inside if file.is_file() and (layout.points or file.stem != _POINTS))
        yield from (file for file in used if file.suffix not in SUFFIXES)
    beside = (FILE, CUT_MASKS, EXPOSURES, *([DEPTH_SCALE] if layout.depths else []))
    yield from (file for name in beside if (file := folder / name).is_file())
