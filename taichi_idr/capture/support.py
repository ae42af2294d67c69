"""What the object stands on: `support.json` of a capture, a plane of its world frame, below which nothing of it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..files.writing import atomic_write
from ..types import Plane
from .formats.strict import numbers, read_json

FILE = "support.json"
MOST_BYTES = 1 << 16
_TODO = 'write {"normal": [x, y, z], "offset": d}: normal . p = d on the plane, more where the object is; or remove it'


def read_support(folder: Path) -> Plane | None:
    """World frame; None where there is no such file. Raises BadInput."""
    file = folder / FILE
    if not file.exists():
        return None
    tree = read_json(file, "bad support", _TODO, MOST_BYTES)
    normal = np.array(numbers(tree.get("normal"), 3, f"{file}: normal", _TODO))
    (offset,) = numbers([tree.get("offset")], 1, f"{file}: offset", _TODO)
    length = float(np.linalg.norm(normal))
    if not length > 0:
        raise BadInput("bad support", where=f"{file}: normal", why="it has no length", todo=_TODO)
    return Plane(normal / length, offset / length)


def write_support(folder: Path, support: Plane) -> None:
    """Raises WriteFailed."""
    text = json.dumps({"normal": support.normal.tolist(), "offset": support.offset}) + "\n"
    atomic_write(folder / FILE, text)
