"""How long a unit of the capture is, from distances that somebody knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError
from .units import METRES, MarkerKind

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?"
_POINT = rf"({_NUMBER}),({_NUMBER}),({_NUMBER})"
_LENGTH = re.compile(rf"\s*({_NUMBER})\s*(mm|cm|m|in)\s*")
_PAIR = re.compile(rf"\s*{_POINT}\s+{_POINT}\s+({_NUMBER})\s*(mm|cm|m|in)\s*")


@dataclass(frozen=True)
class KnownDistance:
    """Two points (3,) of the world frame, and how far they are apart in metres."""

    one: np.ndarray
    other: np.ndarray
    metres: float


@dataclass(frozen=True)
class PrintedMarker:
    """Markers that lie beside the object: side of their black squares in metres, the same for all."""

    metres: float
    kind: MarkerKind = "auto"


@dataclass(frozen=True)
class Scale:
    """Length of a world unit in metres, and its standard error as a share; None where a single distance tells none."""

    metres: float
    uncertainty: float | None


def parsed_distance(text: str) -> KnownDistance:
    """`x,y,z x,y,z 120mm`. Raises UsageError."""
    match = _PAIR.fullmatch(text)
    where, todo = f"--scale-points {text!r}", 'write "x,y,z x,y,z 120mm", in the capture\'s frame'
    if match is None:
        raise UsageError("no known distance", where=where, todo=todo)
    numbers = np.array([float(match[k]) for k in range(1, 8)])
    one, other, length = numbers[:3], numbers[3:6], numbers[6] * METRES[match[8]]
    if not np.isfinite(numbers).all() or not length > 0 or not np.linalg.norm(one - other) > 0:
        raise UsageError("no known distance", where=where, why="it is not more than 0", todo=todo)
    return KnownDistance(one, other, length)


def parsed_marker(text: str, kind: MarkerKind = "auto") -> PrintedMarker:
    """`50mm`. Raises UsageError."""
    match = _LENGTH.fullmatch(text)
    metres = float(match[1]) * METRES[match[2]] if match else np.nan
    if not 0 < metres < np.inf:
        todo = "give the side of the black square as printed, such as 50mm"
        raise UsageError("no length", where=f"--marker {text!r}", todo=todo)
    return PrintedMarker(metres, kind)


def found_scale(known: Sequence[KnownDistance]) -> Scale:
    """The scale that explains known distances (one at least) with the least squared error.

    Points are picked with one error each, wherever they are: long distances weigh more.
    """
    measured = np.array([np.linalg.norm(pair.one - pair.other) for pair in known])
    metres = np.array([pair.metres for pair in known])
    scale = float(measured @ metres / (measured @ measured))
    if len(known) < 2:
        return Scale(scale, None)
    spread = np.sqrt(((metres - scale * measured) ** 2).sum() / (len(known) - 1))
    return Scale(scale, float(spread / np.sqrt(measured @ measured) / scale))
