"""How much memory the photos of a capture need while they are fitted, known before any is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import BadInput, OutOfMemory
from ..machine import free_memory
from .formats.source import Layout, size_of

BASE = 0.7e9
"""Bytes of everything else: libraries, field, lattice, photos on their way. Measured with 66 photos of 16 MP and 300 of
1 MP (4.9e9 and 1.9e9 bytes in all)."""
PER_PIXEL = 4  # colour and mask
PER_DEPTH = 8  # as read, and in the table of pixels
MOST_DOWNSCALE = 64


@dataclass(frozen=True)
class Need:
    """Bytes that a fit needs, and that are free (None where the system does not tell)."""

    needed: float
    free: float | None

    def __str__(self) -> str:
        about = f"about {_gigabytes(self.needed)} needed"
        return about if self.free is None else f"{about}, {_gigabytes(self.free)} free"


def check_memory(layout: Layout, downscale: int, *, more: int = 0) -> Need:
    """What a fit at this downscale needs. more: bytes that the method keeps for each pixel beside PER_PIXEL.

    Raises OutOfMemory where that is not free, with the downscale that fits.
    """
    sizes = [size for image in layout.images if (size := _size(image))]
    per_pixel = PER_PIXEL + bool(layout.ignored) + PER_DEPTH * bool(layout.depths or layout.points) + more
    needs = {factor: _needed(sizes, factor, per_pixel) for factor in range(downscale, MOST_DOWNSCALE + 1)}
    need = Need(needs[downscale], free_memory())
    if need.free is not None and need.needed > need.free:
        fits = next((factor for factor, bytes_needed in needs.items() if bytes_needed <= need.free), None)
        todo = f"use --downscale {fits}, which needs {_gigabytes(needs[fits])}" if fits else "free some memory"
        raise OutOfMemory("not enough memory", where=f"{len(layout.images)} photos", why=str(need), todo=todo)
    return need


def _size(image: Path) -> tuple[int, int] | None:
    try:
        return size_of(image)
    except BadInput:  # said when it is decoded
        return None


def _needed(sizes: list[tuple[int, int]], downscale: int, per_pixel: int) -> float:
    return BASE + per_pixel * sum((width // downscale) * (height // downscale) for width, height in sizes)


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
