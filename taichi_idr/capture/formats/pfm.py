"""Portable float maps, in which BlendedMVS and Middlebury keep depth: one channel, rows from the bottom up.

http://www.pauldebevec.com/Research/HDR/PFM/
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import BadInput
from ...files.reading import whole

if TYPE_CHECKING:
    import numpy as np

_HEAD = re.compile(rb"Pf\s+(\d{1,7})\s+(\d{1,7})\s+(-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s")
_TODO = "write it again, or as NPY"


def read_pfm(file: Path, most: int) -> np.ndarray:
    """(H, W) float32, of a file of at most so many bytes. Raises BadInput."""
    import numpy as np

    data = whole(file, most, todo=_TODO)
    head = _HEAD.match(data)
    if not head:
        raise BadInput("bad depth map", where=file, why="no head of a float map of one channel", todo=_TODO)
    width, height = int(head[1]), int(head[2])
    there = len(data) - head.end()
    if there != 4 * width * height:
        why = f"{width}x{height} numbers of 4 bytes, the file holds {there} bytes"
        raise BadInput("bad depth map", where=file, why=why, todo=_TODO)
    order = "<f4" if float(head[3]) < 0 else ">f4"
    return np.frombuffer(data, order, offset=head.end()).reshape(height, width)[::-1].astype(np.float32)
