"""What oriented points say is inside: Poisson's equation on a lattice, solved by Fourier transforms.

Kazhdan, Bolitho and Hoppe, "Poisson surface reconstruction", 2006: the gradient of the function that is 0 inside and 1
outside is the normals, spread over the surface. On a periodic lattice, as Peng et al., "Shape As Points", 2021, solve
it, in their equation 6. Holes close as smoothly as that equation lets them.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from scipy.ndimage import map_coordinates

from ..machine import available_cores

WIDEST = 6  # octaves of cells over which a point may be spread
NEGLIGIBLE = 40.0  # exponent beyond which a Gaussian is nothing: subnormal numbers are slow


def indicator(
    points: np.ndarray, normals: np.ndarray, weight: np.ndarray, spread: np.ndarray, resolution: int
) -> np.ndarray:
    """The function (R, R, R) float32, R = resolution, at -1 + 2 (i, j, k) / R: less inside, up to a constant.

    points (N, 3) in [-1, 1)^3; normals (N, 3) outwards; weight (N,): area that a point stands for; spread (N,):
    deviation of the Gaussian over which it is spread, rounded to an octave of cells.
    """
    cell = 2 / resolution
    place = ((points + 1) / cell).astype(np.float32)
    octave = np.clip(np.rint(np.log2(np.maximum(spread / cell, 1))), 0, WIDEST).astype(int)
    waves, squares = _waves(resolution, cell)
    divergence = np.zeros(squares.shape, np.complex64)
    for level in np.unique(octave):
        chosen = octave == level
        flow = (normals[chosen] * weight[chosen, None]).astype(np.float32)
        spectrum = np.zeros(squares.shape, np.complex64)
        for axis, wave in enumerate(waves):
            part = _scattered(place[chosen], flow[:, axis], resolution)
            spectrum += 1j * wave * np.asarray(scipy.fft.rfftn(part, workers=available_cores()))
        width = cell * 2.0**level
        divergence += spectrum * np.exp(-np.minimum(0.5 * width**2 * squares, NEGLIGIBLE))
    squares[0, 0, 0] = 1  # the constant is free
    divergence /= -squares * np.float32(cell**3)
    field = scipy.fft.irfftn(divergence, s=(resolution,) * 3, workers=available_cores(), overwrite_x=True)
    return np.asarray(field)


def value_at(lattice: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Trilinear values (N,) of a periodic lattice (R, R, R) over [-1, 1)^3 at points (N, 3)."""
    place = (points.T + 1) * (len(lattice) / 2)
    return map_coordinates(lattice, place, order=1, mode="grid-wrap")


def rise_along(lattice: np.ndarray, points: np.ndarray, directions: np.ndarray, step: np.ndarray) -> np.ndarray:
    """By how much (N,) the lattice's function rises from `step` (N,) behind points (N, 3) to as much before them."""
    offset = directions * step[:, None]
    return value_at(lattice, points + offset) - value_at(lattice, points - offset)


def _waves(resolution: int, cell: float) -> tuple[list[np.ndarray], np.ndarray]:
    """Angular frequencies along each axis, shaped for a product with the half spectrum, and their squares' sum."""
    whole = (2 * np.pi * np.fft.fftfreq(resolution, cell)).astype(np.float32)
    half = (2 * np.pi * np.fft.rfftfreq(resolution, cell)).astype(np.float32)
    waves = [whole[:, None, None], whole[None, :, None], half[None, None, :]]
    return waves, waves[0] ** 2 + waves[1] ** 2 + waves[2] ** 2


def _scattered(place: np.ndarray, values: np.ndarray, resolution: int) -> np.ndarray:
    """Values (N,) shared among the eight lattice points around each place (N, 3), in cells."""
    corner = np.floor(place).astype(np.int64)
    share = place - corner
    total = np.zeros(resolution**3)
    for number in range(8):
        step = np.array([number & 1, number >> 1 & 1, number >> 2 & 1])
        weight = np.prod(np.where(step, share, 1 - share), axis=1)
        x, y, z = ((corner + step) % resolution).T
        total += np.bincount((x * resolution + y) * resolution + z, weight * values, len(total))
    return total.reshape((resolution,) * 3).astype(np.float32)
