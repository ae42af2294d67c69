"""What a point cloud is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cloud:
    """points (N, 3) float64, in the file's frame and unit; normals (N, 3) float32, outwards, or None; colours (N, 3)
    uint8 sRGB or None."""

    points: np.ndarray
    normals: np.ndarray | None = None
    colours: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: np.ndarray | slice) -> Cloud:
        normals = None if self.normals is None else self.normals[index]
        return Cloud(self.points[index], normals, None if self.colours is None else self.colours[index])
