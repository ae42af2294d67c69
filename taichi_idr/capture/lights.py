"""In which light photos were taken, where that is known: `lights.json` of a capture, a name for each photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import BadInput
from .formats.strict import read_json

LIGHTS = "lights.json"
MOST_BYTES = 1 << 24
_TODO = 'write {"lights": {"IMG_1.jpg": "morning", ...}}, a name for each photo; or remove it'


def read_lights(folder: Path, images: Sequence[str]) -> list[str] | None:
    """Name of the lighting condition of each photo, by its file's name; None where there is no such file. Raises
    BadInput."""
    file = folder / LIGHTS
    if not file.exists():
        return None
    table = read_json(file, "bad lights", _TODO, MOST_BYTES).get("lights")
    if not isinstance(table, dict):
        raise BadInput("bad lights", where=file, why="it has no table `lights`", todo=_TODO)
    missing = [image for image in images if not isinstance(table.get(image), str) or not table[image]]
    if missing:
        raise BadInput("bad lights", where=file, why=f"it has no name for {missing[0]}", todo=_TODO)
    return [table[image] for image in images]
