"""A signed distance field becomes a mesh (EVAL-1), without ever being asked at every point of a fine lattice.

A rough lattice finds the object and its principal axes; a coarse one along these axes is then refined by
halving its step, slab by slab: only cells that can hold the surface are asked for, the others are
interpolated, which keeps their sign. What marching cubes sees is a function on the whole lattice, so the mesh
is closed whatever the field does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .. import runtime
from ..errors import Diverged, UsageError
from ..types import Sdf
from . import mesh as meshes
from .colours import QUERY_CHUNK, Colour, vertex_colours
from .isosurface import SurfaceBuilder
from .mesh import Mesh, Topology

ROUGH_RESOLUTION = 100  # EVAL-1
LEAST_RESOLUTION = 8
BOX_MARGIN = 0.2  # EVAL-1, normalised units on each side
COARSEST_STEP = 0.025  # normalised units: about the rough lattice's, so that both see the same thin parts
SLAB_LAYERS = 16  # cells; bounds memory


@dataclass(frozen=True)
class MeshReport:
    """What was extracted, and what is true of it.

    size (3,): extent of the box, world units. dropped: smaller bodies left out. clipped: share of the
    vertices on the bounding sphere, where the surface was cut. files: what was written.
    """

    vertices: int
    faces: int
    topology: Topology
    dropped: int
    clipped: float
    size: tuple[float, float, float]
    seconds: float
    files: tuple[Path, ...] = ()


def extract_mesh(
    sdf: Sdf,
    *,
    resolution: int,
    T_world_normalised: np.ndarray,
    radius: float = 1.0,
    colour: Colour | None = None,
) -> tuple[Mesh, MeshReport]:
    """Largest body of the zero level, in the world frame.

    resolution: samples along the shortest axis of the box around the object. radius: bounding sphere, outside
    of which nothing is. T_world_normalised: (4, 4) similarity. Raises Diverged when there is no surface.
    """
    began = time.perf_counter()
    vertices, faces, bodies = extract_surface(sdf, resolution=resolution, radius=radius)
    clipped = float(np.mean(np.linalg.norm(vertices, axis=1) > radius - 1e-4))
    mesh = meshes.make_mesh(vertices, faces)
    if colour is not None:
        mesh = replace(mesh, colours=vertex_colours(mesh, colour))
    mesh = meshes.transformed(mesh, T_world_normalised)
    width, height, depth = np.ptp(mesh.vertices, axis=0).tolist()
    found = meshes.topology(faces, len(vertices))
    seconds = time.perf_counter() - began
    size = (width, height, depth)
    return mesh, MeshReport(len(vertices), len(faces), found, bodies - 1, clipped, size, seconds)


def extract_surface(sdf: Sdf, *, resolution: int, radius: float = 1.0) -> tuple[np.ndarray, np.ndarray, int]:
    """Vertices (V, 3) float64, normalised frame, and faces of the largest body, and how many bodies there
    were."""
    if resolution < LEAST_RESOLUTION:
        todo = f"give at least {LEAST_RESOLUTION}"
        raise UsageError("resolution too small", where=f"--res {resolution}", todo=todo)
    field = _Field(sdf, radius)
    rough = _rough_lattice(radius)
    values = field.on(rough, 1)
    steepness = _steepness(values, rough.step)
    lattice = _aligned_lattice(_rough_surface(rough, values, radius), resolution)
    builder = SurfaceBuilder()
    for slab in _refined_slabs(field, lattice, steepness):
        builder.add(slab)
    vertices, faces, bodies = meshes.largest_body(*builder.finish())
    if len(faces) == 0:
        raise _no_surface(values)
    return lattice.place(vertices), faces, bodies


@dataclass(frozen=True)
class _Lattice:
    """Points origin + step axes (i, j, k) of the normalised frame; `shape` counts points, `coarse` is the
    first stride."""

    origin: np.ndarray
    axes: np.ndarray
    step: float
    shape: tuple[int, int, int]
    coarse: int

    def place(self, indices: np.ndarray) -> np.ndarray:
        return self.origin + np.einsum("nj,ij->ni", indices * self.step, self.axes)


class _Field:
    """The SDF cut off by the bounding sphere, asked in chunks from numpy."""

    def __init__(self, sdf: Sdf, radius: float) -> None:
        self._sdf, self._radius = sdf, radius
        self._target = {"dtype": runtime.current().dtype, "device": runtime.current().device}

    @torch.no_grad()
    def at(self, points: np.ndarray) -> np.ndarray:
        """Values (N,) float32 at points (N, 3). Raises Diverged when one is not finite."""
        parts = []
        for chunk in torch.from_numpy(points).split(QUERY_CHUNK):
            place = chunk.to(**self._target)
            parts.append(torch.maximum(self._sdf(place), place.norm(dim=1) - self._radius).cpu())
        values = torch.cat([torch.zeros(0), *parts]).float().numpy()
        if not np.isfinite(values).all():
            todo = "fit again with lower rates"
            raise Diverged("no surface", why="the signed distance is not finite", todo=todo)
        return values

    def on(self, lattice: _Lattice, stride: int) -> np.ndarray:
        """Values at every `stride`-th point, plane by plane."""
        counts = [(n - 1) // stride + 1 for n in lattice.shape]
        plane = np.stack(np.meshgrid(*map(np.arange, counts[1:]), indexing="ij"), axis=-1).reshape(-1, 2)
        values = np.empty(counts, np.float32)
        for i in range(counts[0]):
            indices = np.concatenate([np.full((len(plane), 1), i), plane], axis=1) * stride
            values[i] = self.at(lattice.place(indices)).reshape(counts[1:])
        return values


def _rough_lattice(radius: float) -> _Lattice:
    """The cube around the bounding sphere; its outermost points are outside."""
    n = ROUGH_RESOLUTION
    step = 2 * radius / (n - 3)
    return _Lattice(np.full(3, -radius - step), np.eye(3), step, (n, n, n), 1)


def _rough_surface(lattice: _Lattice, values: np.ndarray, radius: float) -> np.ndarray:
    """Vertices (V, 3) of the rough mesh's largest body."""
    builder = SurfaceBuilder()
    builder.add(values)
    vertices, faces, _ = meshes.largest_body(*builder.finish())
    if len(faces) == 0:
        raise _no_surface(values)
    return lattice.place(vertices)


def _no_surface(values: np.ndarray) -> Diverged:
    why = f"the signed distance is in [{values.min():.4g}, {values.max():.4g}] inside the bounding sphere"
    return Diverged("no surface in bounds", why=why, todo="fit longer, or check the masks")


def _steepness(values: np.ndarray, step: float) -> float:
    """Length of the gradient that 99 % of the rough lattice's points near the surface stay below."""
    corner = values[:-1, :-1, :-1]
    neighbours = (values[1:, :-1, :-1], values[:-1, 1:, :-1], values[:-1, :-1, 1:])
    near = np.abs(corner) < 2 * step
    squares = sum((neighbour[near].astype(np.float64) - corner[near]) ** 2 for neighbour in neighbours)
    return float(np.sqrt(np.percentile(squares, 99))) / step if near.any() else 1.0


def _aligned_lattice(surface: np.ndarray, resolution: int) -> _Lattice:
    """Lattice along the principal axes of `surface`, longest first, `resolution` points along the
    shortest."""
    _, axes = np.linalg.eigh(np.cov(surface.T))
    along = surface @ axes
    order = np.argsort(-np.ptp(along, axis=0))
    axes, along = axes[:, order], along[:, order]
    axes[:, 2] *= np.sign(np.linalg.det(axes))  # a rotation: triangles keep their side
    along = surface @ axes
    low, extent = along.min(axis=0) - BOX_MARGIN, np.ptp(along, axis=0) + 2 * BOX_MARGIN
    step = float(extent.min()) / (resolution - 1)
    coarse = 1
    while 2 * coarse * step <= COARSEST_STEP:
        coarse *= 2
    nx, ny, nz = (int(np.ceil(e / (coarse * step) - 1e-9)) * coarse + 1 for e in extent)
    return _Lattice(axes @ low, axes, step, (nx, ny, nz), coarse)


def _refined_slabs(field: _Field, lattice: _Lattice, steepness: float) -> Iterator[np.ndarray]:
    """Values of the finest lattice, slab by slab; neighbours share a plane. The lattice's border is
    outside."""
    coarse = field.on(lattice, lattice.coarse)
    thickness = max(SLAB_LAYERS // lattice.coarse, 1)
    shared: np.ndarray | None = None
    for first in range(0, coarse.shape[0] - 1, thickness):
        part = coarse[first : first + thickness + 1]
        values, known = _refine(field, lattice, part, first, steepness)
        if shared is not None:
            values[0], known[0] = shared, True
        _close(values, known, lattice.step, first == 0, first + thickness + 1 >= coarse.shape[0])
        _settle(field, lattice, values, known, first * lattice.coarse)
        shared = values[-1].copy()
        yield values


def _refine(
    field: _Field, lattice: _Lattice, values: np.ndarray, first: int, steepness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Halve the step down to the finest; `known` marks what the field said, the rest is interpolated."""
    known = np.ones(values.shape, bool)
    stride = lattice.coarse
    while stride > 1:
        # A point of a cell is at most half its diagonal from a corner. Half of that is enough for the last
        # halving, where most of the questions are: what it can lose is thinner than the finest step.
        reach = steepness * stride * lattice.step * np.sqrt(3) / (2 if stride > 2 else 4)
        wanted = _spread(_cells_near_zero(values, reach), 2)
        finer = np.zeros(wanted.shape, bool)
        finer[::2, ::2, ::2] = known
        values, known, stride = _doubled(values), finer, stride // 2
        _ask(field, lattice, values, known, wanted, stride, first * lattice.coarse)
    return values, known


def _settle(field: _Field, lattice: _Lattice, values: np.ndarray, known: np.ndarray, first: int) -> None:
    """Ask at the corners of every cell with a change of sign, until none of them is interpolated."""
    while True:
        wanted = _spread(_cells_near_zero(values, 0.0), 1)
        if not (wanted & ~known).any():
            return
        _ask(field, lattice, values, known, wanted, 1, first)


def _ask(
    field: _Field, lattice: _Lattice, values: np.ndarray, known: np.ndarray, wanted: np.ndarray, stride: int, first: int
) -> None:
    """Let the field say the wanted values that are not known; `first` is the slab's first layer on the finest
    lattice."""
    places = np.unravel_index(np.flatnonzero(wanted & ~known), wanted.shape)
    indices = np.stack(places, axis=1) * stride
    indices[:, 0] += first
    values[places] = field.at(lattice.place(indices))
    known |= wanted


def _close(values: np.ndarray, known: np.ndarray, least: float, first: bool, last: bool) -> None:
    """Make the lattice's border outside, so that nothing that crosses it is open."""
    border = np.zeros(values.shape, bool)
    border[:, [0, -1]] = border[:, :, [0, -1]] = True
    border[0] |= first
    border[-1] |= last
    values[border] = np.maximum(values[border], least)
    known |= border


def _cells_near_zero(values: np.ndarray, reach: float) -> np.ndarray:
    """Cells with a corner below `reach` and one above `-reach`: a change of sign, or a small value."""
    low = values < reach
    high = values > -reach if reach > 0 else ~low
    for axis in range(3):
        low, high = _pairs(low, axis), _pairs(high, axis)
    return low & high


def _pairs(flags: np.ndarray, axis: int) -> np.ndarray:
    """Either of two neighbours along `axis`."""
    return flags[_along(axis, slice(None, -1))] | flags[_along(axis, slice(1, None))]


def _spread(cells: np.ndarray, halves: int) -> np.ndarray:
    """Lattice points of the marked cells, on a lattice with `halves` steps per cell."""
    for axis in range(3):
        count = cells.shape[axis]
        points = np.zeros([n * halves + 1 if a == axis else n for a, n in enumerate(cells.shape)], bool)
        for offset in range(halves + 1):
            points[_along(axis, slice(offset, offset + (count - 1) * halves + 1, halves))] |= cells
        cells = points
    return cells


def _doubled(values: np.ndarray) -> np.ndarray:
    """Trilinear interpolation to half the step; a cell of one sign keeps it."""
    for axis in range(3):
        finer = np.empty([2 * n - 1 if a == axis else n for a, n in enumerate(values.shape)], np.float32)
        finer[_along(axis, slice(None, None, 2))] = values
        between = finer[_along(axis, slice(1, None, 2))]
        np.add(values[_along(axis, slice(None, -1))], values[_along(axis, slice(1, None))], out=between)
        between *= 0.5
        values = finer
    return values


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    """Index that takes `part` of one axis and all of the others."""
    return (slice(None),) * axis + (part,)
