"""Multiresolution isosurface extraction, MISE (OCC-4 of docs/methods.md): for fields that are no distance.

Mescheder et al., "Occupancy Networks: Learning 3D Reconstruction in Function Space" (CVPR 2019), section 3.3. Only the
sign of the field is believed, unless it says how steep it is: then the value at a cell's centre can rule a surface out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Diverged
from ..types import Sdf
from .cells import asked, cells_near_zero, doubled, spread
from .isosurface import SurfaceBuilder

COARSE, LEVELS = 32, 4
"""Cells along an axis that all of the cube is asked at, and how often they are halved, as published for DVR."""


@dataclass(frozen=True)
class DenseValues:
    """values (N + 1, N + 1, N + 1) float32 over a cube, where no cell with a change of sign has an interpolated corner.

    questions: how often the field was asked, of (N + 1)^3 times.
    """

    values: np.ndarray
    questions: int


@dataclass(frozen=True)
class IsoSurface:
    """vertices (V, 3) float64 in the field's frame, faces (F, 3) int32, outward; questions: as DenseValues has it."""

    vertices: np.ndarray
    faces: np.ndarray
    questions: int


def mise_surface(
    field: Sdf,
    *,
    half: float,
    coarse: int = COARSE,
    levels: int = LEVELS,
    steepness: float | None = None,
    places: np.ndarray | None = None,
) -> IsoSurface:
    """The zero level of a field, negative inside, in [-half, half]^3: closed, where the cube cuts it too.

    coarse * 2^levels cells along an axis. steepness: an upper bound of the length of the gradient, where the field has
    one: nothing is lost then that a point of the finest lattice lies in. Without it a body is, if no point of the
    coarse one lies in it and it does not touch another. places (N, 3): where the surface is thought to be; cells that
    hold one are halved too, however thin what is there. Raises Diverged where the field has no surface, or is not
    finite.
    """
    dense = mise_values(field, half=half, coarse=coarse, levels=levels, steepness=steepness, places=places)
    step, builder = 2 * half / (len(dense.values) - 1), SurfaceBuilder()
    builder.add(np.pad(dense.values, 1, constant_values=step))
    vertices, faces = builder.finish()
    if len(faces) == 0:
        why = f"the field is in [{dense.values.min():.4g}, {dense.values.max():.4g}] at {dense.questions} points"
        raise Diverged("no surface in bounds", why=why, todo="fit longer, or check the masks")
    return IsoSurface((vertices - 1) * step - half, faces, dense.questions)


def mise_values(
    field: Sdf,
    *,
    half: float,
    coarse: int = COARSE,
    levels: int = LEVELS,
    steepness: float | None = None,
    places: np.ndarray | None = None,
) -> DenseValues:
    """Values at all points of the finest lattice; arguments as `mise_surface` has them.

    Cells with corners on both sides are halved; what neighbours have asked at a cell's faces counts as its corners do.
    Points that nobody asked are interpolated, which keeps the sign of their cell. All lie in memory: 512 cells along
    an axis take 2.2 GB.
    """
    lattice = _Lattice(field, half, np.zeros((coarse + 1,) * 3, np.float32), np.zeros((coarse + 1,) * 3, bool))
    lattice.ask(np.ones_like(lattice.known))
    for _ in range(levels):
        active, near, reach = lattice.active(), None, 0.0
        if steepness is not None:
            reach = (
                steepness * lattice.step * np.sqrt(3) / 2
            )  # no place of a cell is farther from its centre, or a corner
            near = cells_near_zero(lattice.values, reach) & ~active
        if places is not None:
            active[lattice.cells_of(places)] = True
        lattice.halve()
        if near is not None:
            active |= lattice.near_at_centre(near, reach)
        lattice.ask(spread(active, 2))
        lattice.settle()
    return DenseValues(lattice.values, lattice.questions)


class _Lattice:
    """One level: values at all points, and which of them the field has said."""

    def __init__(self, field: Sdf, half: float, values: np.ndarray, known: np.ndarray) -> None:
        self.field, self.half, self.values, self.known = field, half, values, known
        self.questions = 0

    @property
    def step(self) -> float:
        return 2 * self.half / (len(self.values) - 1)

    def ask(self, wanted: np.ndarray) -> None:
        """Let the field say what of the wanted points (bool, as values) is not known."""
        places = np.unravel_index(np.flatnonzero(wanted & ~self.known), wanted.shape)
        self.values[places] = asked(self.field, np.stack(places, axis=1) * self.step - self.half)
        self.known[places] = True
        self.questions += len(places[0])

    def active(self) -> np.ndarray:
        """Cells with corners on both sides."""
        return cells_near_zero(self.values, 0.0)

    def cells_of(self, places: np.ndarray) -> tuple[np.ndarray, ...]:
        """Index of the cells that hold places (N, 3)."""
        cells = np.floor((places + self.half) / self.step).astype(int)
        return tuple(np.clip(cells, 0, len(self.values) - 2).T)

    def near_at_centre(self, cells: np.ndarray, reach: float) -> np.ndarray:
        """Which of these cells of the level before, whose centres are asked, may hold a zero."""
        centres, middle = np.zeros_like(self.known), (slice(1, None, 2),) * 3
        centres[middle] = cells
        self.ask(centres)
        return cells & (np.abs(self.values[middle]) < reach)

    def halve(self) -> None:
        known = np.zeros([2 * n - 1 for n in self.known.shape], bool)
        known[::2, ::2, ::2] = self.known
        self.values, self.known = doubled(self.values), known

    def settle(self) -> None:
        """Ask at the corners of active cells until nothing of them is unknown: the surface is followed to where
        coarser cells did not show it."""
        while (wanted := spread(self.active(), 1) & ~self.known).any():
            self.ask(wanted)
