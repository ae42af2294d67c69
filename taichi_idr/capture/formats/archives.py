"""Archives of numbered matrices, one for each photo: what is in them, and the matrices in plain numbers."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import BadInput
from .pairing import numbers_of
from .strict import numbers

if TYPE_CHECKING:
    import numpy as np


def archive_keys(path: Path) -> set[str]:
    """Names of the arrays in an .npz, without numpy; none where there is no such archive, which its reader says."""
    if not path.is_file():  # a pipe would never end
        return set()
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return set()


def numbered(keys: Iterable[str], prefix: str) -> set[int]:
    """`{0, 1}` of `R_0` and `R_1`."""
    pattern = re.compile(rf"{prefix}_(0|[1-9]\d{{0,6}})")
    return {int(match[1]) for match in map(pattern.fullmatch, keys) if match}


def order_of(images: Sequence[Path], there: set[int], where: str) -> Sequence[int]:
    """Number of each photo's matrix. Raises BadInput where there is not one for each."""
    order = numbers_of(images, there)
    if set(order) != there:
        why = f"{len(there)} for {len(images)} photos, and their numbers do not tell which belong together"
        raise BadInput("matrices and photos do not pair", where=where, why=why, todo="give one to each photo")
    return order


def matrix_in(
    arrays: Mapping[str, np.ndarray], key: str, shapes: Sequence[tuple[int, ...]], file: Path, todo: str
) -> list[float]:
    """Its finite numbers, row by row. Raises BadInput: missing, of another shape."""
    array = arrays.get(key)
    if array is None or array.shape not in shapes:
        found = "it is missing" if array is None else f"its shape is {array.shape}"
        wanted = " or ".join(str(shape) for shape in shapes)
        raise BadInput("bad matrix", where=f"{file}: {key}", why=f"{found}, expected {wanted}", todo=todo)
    return numbers(array.ravel().tolist(), array.size, f"{file}: {key}", todo)
