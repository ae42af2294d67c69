"""Masks that the program cut itself: `masks.json` of a capture. A fit may cut them anew; what people drew stays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import BadInput
from ..files.writing import atomic_write
from .fingerprints import CUT_MASKS, fingerprint
from .formats.strict import read_json

MOST_BYTES = 1 << 24
_TODO = "remove it: masks are then taken as they are"


def read_cut(folder: Path, masks: Sequence[Path] | None) -> tuple[bool, ...]:
    """Of each mask, whether it is as the program has cut it; empty where none is. Raises BadInput."""
    file = folder / CUT_MASKS
    if not masks or not file.exists():
        return ()
    cut = read_json(file, "bad list of masks", _TODO, MOST_BYTES).get("cut")
    if not isinstance(cut, dict):
        raise BadInput("bad list of masks", where=file, why="it has no table `cut`", todo=_TODO)
    found = tuple((known := cut.get(_name(folder, mask))) is not None and known == fingerprint(mask) for mask in masks)
    return found if any(found) else ()


def write_cut(folder: Path, masks: Sequence[Path]) -> None:
    """Raises WriteFailed."""
    cut = {_name(folder, mask): fingerprint(mask) for mask in masks}
    atomic_write(folder / CUT_MASKS, json.dumps({"cut": cut}, indent=1) + "\n")


def _name(folder: Path, mask: Path) -> str:
    return mask.relative_to(folder).as_posix() if mask.is_relative_to(folder) else mask.name
