"""What columns of numbers without names mean: a position, then triples that tell by their values what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import BadInput
from .cloud import Cloud

WIDTHS = (3, 6, 9)
LOOKED_AT = 10_000  # rows
BOUNDS = -1e9, 1e9  # beyond which no number is a colour, and no square of one overflows
UNIT = 0.02  # by which the length of a normal may differ from 1


def cloud_of_columns(table: np.ndarray, path: Path) -> Cloud:
    """Columns (N, 3, 6 or 9): x y z, then normals or colours or both, in either order.

    A triple of unit length is a normal; of whole numbers up to 255, or of numbers in [0, 1], a colour. Raises BadInput.
    """
    if table.ndim != 2 or table.shape[1] not in WIDTHS:
        why = f"its shape is {table.shape}, expected (N, 3), (N, 6) or (N, 9)"
        raise BadInput("not a point cloud", where=path, why=why, todo="keep x y z, nx ny nz and r g b")
    parts: dict[str, np.ndarray] = {}
    for start in range(3, table.shape[1], 3):
        triple = table[:, start : start + 3]
        kind = _kind(triple[:: max(len(triple) // LOOKED_AT, 1)])
        if kind is None or kind in parts:
            why = f"columns {start + 1} to {start + 3} are neither unit normals nor colours"
            raise BadInput("unclear columns", where=path, why=why, todo="keep x y z, nx ny nz and r g b")
        parts[kind] = as_colours(triple) if kind == "colours" else triple.astype(np.float32)
    return Cloud(np.ascontiguousarray(table[:, :3], np.float64), **parts)


def as_colours(values: np.ndarray) -> np.ndarray:
    """Colours (N, 3) uint8 of bytes, of 16-bit numbers, of floats in [0, 1], or of such numbers written as floats."""
    finite = np.nan_to_num(values).clip(*BOUNDS).astype(np.float32)
    most = finite.max(initial=0.0)
    whole = values.dtype.kind in "ui" or bool((finite[:LOOKED_AT] % 1 == 0).all() and most > 1)
    scale = 1.0 if whole and most <= 255 else 1 / 257 if whole else 255.0
    return np.clip(np.rint(finite * scale), 0, 255).astype(np.uint8)


def _kind(triple: np.ndarray) -> str | None:
    finite = triple[np.isfinite(triple).all(axis=1)]
    lengths = np.linalg.norm(finite.clip(*BOUNDS), axis=1)
    unit = np.abs(lengths - 1) < UNIT
    if len(finite) and (unit | (lengths == 0)).all() and unit.mean() > 0.5:
        return "normals"
    if len(finite) and finite.min() >= 0 and (finite.max() <= 1 or ((finite % 1 == 0).all() and finite.max() <= 65535)):
        return "colours"
    return None
