"""How photos were exposed, where that is known: `exposures.json` of a capture, EV of each photo's three channels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..files.writing import atomic_write
from .fingerprints import EXPOSURES
from .formats.strict import numbers, read_json

MOST_BYTES = 1 << 24
MOST_STOPS = 10.0
_TODO = 'write {"exposures": {"IMG_1.jpg": [r, g, b], ...}}, EV above the usual photo; or remove it'


def read_exposures(folder: Path, images: Sequence[Path]) -> np.ndarray | None:
    """(V, 3) of these photos; None where there is no such file, or it is about others, as of held-out photos. Raises
    BadInput."""
    file = folder / EXPOSURES
    if not file.exists():
        return None
    table = read_json(file, "bad exposures", _TODO, MOST_BYTES).get("exposures")
    if not isinstance(table, dict):
        raise BadInput("bad exposures", where=file, why="it has no table `exposures`", todo=_TODO)
    missing = [image.name for image in images if image.name not in table]
    if table and len(missing) == len(images):
        return None
    if missing:
        raise BadInput("bad exposures", where=file, why=f"{missing[0]} is not in it", todo=_TODO)
    rows = [numbers(table[image.name], 3, f"{file}: {image.name}", _TODO) for image in images]
    stops = np.array(rows, dtype=np.float32)
    if np.abs(stops).max() > MOST_STOPS:
        raise BadInput("bad exposures", where=file, why=f"more than {MOST_STOPS:g} EV", todo=_TODO)
    return stops


def write_exposures(folder: Path, images: Sequence[Path], stops: np.ndarray) -> None:
    """stops (V, 3). Raises WriteFailed."""
    table = {image.name: [round(float(value), 4) for value in row] for image, row in zip(images, stops, strict=True)}
    atomic_write(folder / EXPOSURES, json.dumps({"exposures": table}, indent=1) + "\n")
