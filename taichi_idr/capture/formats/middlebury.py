"""The multi-view benchmark of Middlebury: `…_par.txt` with a line for each photo: its name, K, R and t.

A pixel is K (R x + t), K and R row by row, counted from the top left (vision.middlebury.edu/mview/data); a pixel's
centre is taken to be at integers, of which that page says nothing. Photos lie beside the file, of an object before
black: where there are no masks, what is brighter is the object.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...errors import BadInput
from ...types import CaptureReading
from .gathering import Wanted, find_photo, first_of, gathered, size_if_there
from .source import MASK_FOLDERS, FoundView, Layout, natural
from .strict import as_rows, numbers, pinhole_of, pose_of, read_text

FORMAT = "Middlebury"
THRESHOLD = 24  # of 255: sensors' noise in the black stays below
MOST_BYTES = 16 << 20
_WORDS = 22  # name, K, R, t
_TODO = "correct the file"


def recognised(folder: Path) -> bool:
    return bool(_files(folder))


def find_files(folder: Path, reading: CaptureReading, fewest_views: int, *, need_masks: bool = True) -> Layout:
    """Photos of the file's lines. Raises InputMissing: photos that are not there; BadInput: what is wrong."""
    file, warnings = first_of(_files(folder))
    masked = any((folder / name).is_dir() for name in MASK_FOLDERS)
    wanted = Wanted(folder, reading, fewest_views, need_masks and (masked or reading.silhouettes is not None))
    first, *lines = read_text(file, "bad cameras", _TODO, MOST_BYTES).splitlines() or [""]
    lines = [line for line in lines if line.strip()]
    if first.strip() != str(len(lines)):
        why = f"its first line is {first!r:.40}, {len(lines)} lines follow"
        raise BadInput("bad cameras", where=file, why=why, todo=_TODO)
    views = [_view(line.split(), f"{file}: line {number}", wanted) for number, line in enumerate(lines, start=2)]
    layout = gathered(FORMAT, file, views, wanted, warnings=warnings)
    if layout.masks != [] or not need_masks or reading.silhouettes is not None:
        return layout
    warning = f"no masks: what is brighter than {THRESHOLD} of 255 is taken for the object; add masks/ if it is not"
    return replace(layout, threshold=THRESHOLD, warnings=(*layout.warnings, warning))


def _files(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("*_par.txt") if path.is_file()), key=natural)


def _view(words: list[str], where: str, wanted: Wanted) -> FoundView:
    if len(words) != _WORDS:
        why = f"{len(words)} words, expected a name and {_WORDS - 1} numbers"
        raise BadInput("bad cameras", where=where, why=why, todo=_TODO)
    image = find_photo(wanted, words[0], where, _TODO)
    values = numbers(words[1:], _WORDS - 1, where, _TODO, text=True)
    rotation, centre = pose_of(as_rows(values[9:18]), values[18:])
    return FoundView(image, rotation, centre, pinhole_of(as_rows(values[:9]), size_if_there(image), where, _TODO))
