"""Text files of points: a line each, numbers apart by blanks, commas or semicolons."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import BadInput
from .cloud import Cloud
from .columns import WIDTHS, cloud_of_columns

SEPARATORS = (None, ",", ";")
HEADER_LINES = 8
"""Lines before the first that holds numbers: names of columns, a count of points."""


def read_text(path: Path) -> Cloud:
    """x y z, with normals or colours or both (columns.py). Raises BadInput, naming the line."""
    skipped, separator, columns = _first_row(path)
    try:
        table = np.loadtxt(path, np.float64, skiprows=skipped, delimiter=separator, usecols=range(columns), ndmin=2)
    except (ValueError, OSError, UnicodeDecodeError) as error:
        why = str(error).partition(";")[0]
        raise BadInput("unreadable points", where=path, why=why, todo="write a point on each line") from error
    return cloud_of_columns(table, path)


def _first_row(path: Path) -> tuple[int, str | None, int]:
    """Lines before the first row of numbers, what is between its numbers, and how many of them count.

    A fourth number without a fifth, as an intensity, is left out; so are numbers beyond those known.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        for skipped, line in zip(range(HEADER_LINES), file, strict=False):
            for separator in SEPARATORS:
                numbers = _numbers(line.partition("#")[0], separator)
                if numbers >= 3:
                    return skipped, separator, max(width for width in WIDTHS if width <= numbers)
    raise BadInput(
        "no points", where=path, why="its first lines hold no three numbers", todo="write x y z on each line"
    )


def _numbers(line: str, separator: str | None) -> int:
    """How many numbers a line is, 0 where something else is among them."""
    words = line.strip().split(separator)
    try:
        return len([float(word) for word in words if word.strip() or separator is None])
    except ValueError:
        return 0
