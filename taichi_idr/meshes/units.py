"""Units of length, and markers that tell them: words of the command line too, which imports nothing heavy."""

from __future__ import annotations

from typing import Literal, get_args

Unit = Literal["mm", "cm", "m", "in"]
MarkerKind = Literal[
    "auto",
    "aruco4x4",
    "aruco5x5",
    "aruco6x6",
    "aruco7x7",
    "aruco-original",
    "apriltag16h5",
    "apriltag25h9",
    "apriltag36h10",
    "apriltag36h11",
]
"""What markers are printed; auto: the first of the others, in their order, that photos show."""
MARKER_KINDS: tuple[MarkerKind, ...] = get_args(MarkerKind)[1:]
METRES = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "in": 0.0254}
