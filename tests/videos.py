"""Videos of a second, made of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from taichi_idr.structure.features import opencv


def write_clip(path: Path, frames: Sequence[np.ndarray]) -> Path:
    """MP4 of frames (H, W, 3) uint8."""
    cv2 = opencv()
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path
