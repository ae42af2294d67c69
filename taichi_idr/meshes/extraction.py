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
from torch import Tensor

from ..errors import Diverged, UsageError
from ..nearest import tree_of
from ..types import Sdf
from . import mesh as meshes
from .bodies import Bodies, find_bodies
from .cells import asked, cells_near_zero, doubled, spread
from .colours import Colour, vertex_colours
from .isosurface import SurfaceBuilder
from .mesh import BodyCount, Mesh, Topology

ROUGH_RESOLUTION = 100  # EVAL-1
LEAST_RESOLUTION = 8
BOX_MARGIN = 0.2  # EVAL-1, normalised units on each side
COARSEST_STEP = 0.025  # normalised units: about the rough lattice's, so that both see the same thin parts
SLAB_LAYERS = 16  # cells; bounds memory
TOUCHING = 1e-4  # of the bounding sphere's radius: a vertex that near to it was cut by it
SAME_BODY = 2.0  # rough steps between what the two lattices say of one surface


@dataclass(frozen=True)
class MeshReport:
    """What was extracted, and what is true of it.

    topology: of the surface through distinct positions, in the precision in which they are kept; coincident: vertices
    that have the position of another. dropped: smaller bodies left out; filled: hollows of those that are kept.
    clipped: share of the vertices on the bounding sphere, where the surface was cut. size (3,): extent of the box,
    world units. files: what was written.
    """

    vertices: int
    faces: int
    topology: Topology
    coincident: int
    dropped: int
    filled: int
    clipped: float
    size: tuple[float, float, float]
    seconds: float
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Surface:
    """vertices (V, 3) float64, normalised frame; faces (F, 3). dropped, filled: as MeshReport has them."""

    vertices: np.ndarray
    faces: np.ndarray
    dropped: int
    filled: int


def extract_mesh(
    sdf: Sdf,
    *,
    resolution: int,
    T_world_normalised: np.ndarray,
    radius: float = 1.0,
    bodies: BodyCount = 1,
    colour: Colour | None = None,
    is_distance: bool = True,
) -> tuple[Mesh, MeshReport]:
    """Largest bodies of the zero level, in the world frame.

    resolution: samples along the shortest axis of the box around them. radius: bounding sphere, outside of which
    nothing is. T_world_normalised: (4, 4) similarity. is_distance: whether `sdf` tells how far the surface may be; else
    it is where two neighbours of a lattice of COARSEST_STEP have different signs. Raises Diverged when there is no
    surface.
    """
    began = time.perf_counter()
    surface = extract_surface(sdf, resolution=resolution, radius=radius, bodies=bodies, is_distance=is_distance)
    clipped = float(np.mean(np.linalg.norm(surface.vertices, axis=1) > radius * (1 - TOUCHING)))
    mesh = meshes.make_mesh(surface.vertices, surface.faces)
    if colour is not None:
        mesh = replace(mesh, colours=vertex_colours(mesh, colour))
    mesh = meshes.transformed(mesh, T_world_normalised)
    width, height, depth = np.ptp(mesh.vertices, axis=0).tolist()
    distinct, found = meshes.topology_by_position(mesh.vertices, mesh.faces)
    return mesh, MeshReport(
        vertices=len(mesh.vertices),
        faces=len(mesh.faces),
        topology=found,
        coincident=len(mesh.vertices) - distinct,
        dropped=surface.dropped,
        filled=surface.filled,
        clipped=clipped,
        size=(width, height, depth),
        seconds=time.perf_counter() - began,
    )


def extract_surface(
    sdf: Sdf, *, resolution: int, radius: float = 1.0, bodies: BodyCount = 1, is_distance: bool = True
) -> Surface:
    """The zero level around the largest bodies, in the normalised frame; arguments as `extract_mesh` has them."""
    if resolution < LEAST_RESOLUTION:
        todo = f"give at least {LEAST_RESOLUTION}"
        raise UsageError("resolution too small", where=f"--res {resolution}", todo=todo)
    if isinstance(bodies, int) and bodies < 1:
        raise UsageError("no body asked for", where=f"--bodies {bodies}", todo="give at least 1, or all")
    field = _Field(sdf, radius)
    rough = _rough_lattice(radius)
    values = field.on(rough, 1)
    steepness = _steepness(values, rough.step) if is_distance else 0.0
    seen = _rough_bodies(rough, values)
    wanted = seen.count(bodies)
    found, lattice = _wanted_bodies(field, seen, wanted, resolution, steepness)
    if len(found) == 0:
        raise _no_surface(values)
    kept = found.count(bodies)
    vertices, faces = found.largest(kept)
    dropped = _left_out(seen, found, kept, lattice, SAME_BODY * rough.step)
    return Surface(lattice.place(vertices), faces, dropped, int(found.hollows[:kept].sum()))


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

    def indices(self, points: np.ndarray) -> np.ndarray:
        """The inverse of `place`."""
        return (points - self.origin) @ self.axes / self.step

    def is_within(self, indices: np.ndarray, margin: float) -> np.ndarray:
        """Which of indices (N, 3) are farther than `margin` steps from the border."""
        return np.all((indices > margin) & (indices < np.array(self.shape) - 1 - margin), axis=1)


class _Field:
    """The SDF cut off by the bounding sphere, asked from numpy."""

    def __init__(self, sdf: Sdf, radius: float) -> None:
        self._sdf, self._radius = sdf, radius

    def at(self, points: np.ndarray) -> np.ndarray:
        """See `asked`."""
        return asked(self._within, points)

    def _within(self, points: Tensor) -> Tensor:
        return torch.maximum(self._sdf(points), points.norm(dim=1) - self._radius)

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


def _rough_bodies(lattice: _Lattice, values: np.ndarray) -> Bodies:
    """All bodies inside the bounding sphere that the rough lattice sees, placed in the normalised frame."""
    builder = SurfaceBuilder()
    builder.add(values)
    seen = find_bodies(*builder.finish())
    if len(seen) == 0:
        raise _no_surface(values)
    return replace(seen, vertices=lattice.place(seen.vertices))


def _no_surface(values: np.ndarray) -> Diverged:
    why = f"the field is in [{values.min():.4g}, {values.max():.4g}] inside the bounding sphere"
    return Diverged(
        "no surface in bounds", why=why, todo="fit longer, check the masks, or lower the --level of a density"
    )


def _wanted_bodies(
    field: _Field, seen: Bodies, wanted: int, resolution: int, steepness: float
) -> tuple[Bodies, _Lattice]:
    """`_fine_bodies` around the `wanted` largest of those seen, or around all where that box does not hold so many.

    Things that hang together by less than the rough lattice sees are one body: one that the box cuts, or one where
    several were wanted.
    """
    found, lattice = _fine_bodies(field, seen.largest(wanted)[0], resolution, steepness)
    if wanted == len(seen) or (len(found) >= wanted and not _cut_bodies(found, lattice)[:wanted].any()):
        return found, lattice
    return _fine_bodies(field, seen.largest(len(seen))[0], resolution, steepness)


def _fine_bodies(field: _Field, surface: np.ndarray, resolution: int, steepness: float) -> tuple[Bodies, _Lattice]:
    """Bodies in the box around `surface` (V, 3) of the normalised frame, in steps of a fine lattice; the lattice."""
    lattice = _aligned_lattice(surface, resolution)
    builder = SurfaceBuilder()
    for slab in _refined_slabs(field, lattice, steepness):
        builder.add(slab)
    return find_bodies(*builder.finish()), lattice


def _cut_bodies(found: Bodies, lattice: _Lattice) -> np.ndarray:
    """Which bodies (B,) the box cuts: they have vertices in the cells at the lattice's border."""
    return found.any_vertex(~lattice.is_within(found.vertices, 1.0))


def _left_out(seen: Bodies, found: Bodies, kept: int, lattice: _Lattice, near: float) -> int:
    """How many bodies there are beside the `kept` largest of the fine lattice.

    Those that are whole in its box count as `found` there, those that are cut or outside as `seen` on the rough
    lattice: the pieces of one count once. near: between one surface on both, normalised units.
    """
    cut, is_kept, margin = _cut_bodies(found, lattice), np.arange(len(found)) < kept, near / lattice.step
    at_border = ~lattice.is_within(found.vertices, margin) & (found.body >= 0)
    body, same = found.body[at_border], _nearest_body(lattice.place(found.vertices[at_border]), seen, near)

    def are(chosen: np.ndarray) -> np.ndarray:
        """Which seen bodies are one of the `chosen` found ones at the border."""
        flags = np.zeros(len(seen) + 1, bool)
        flags[same[chosen[body]]] = True
        return flags[:-1]

    beyond = ~seen.any_vertex(lattice.is_within(lattice.indices(seen.vertices), margin)) & ~are(~cut)
    too_small = cut.copy()  # for the rough lattice
    too_small[body[same >= 0]] = False
    return int(((~cut | too_small) & ~is_kept).sum() + ((beyond | are(cut)) & ~are(cut & is_kept)).sum())


def _nearest_body(points: np.ndarray, seen: Bodies, reach: float) -> np.ndarray:
    """The body (N,) whose outside is nearest to each of points (N, 3), -1 where none is within reach."""
    if len(points) == 0:
        return np.zeros(0, int)
    outside = seen.body >= 0
    _, nearest = tree_of(seen.vertices[outside]).query(points, distance_upper_bound=reach)
    return np.append(seen.body[outside], -1)[nearest]


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
        wanted = spread(cells_near_zero(values, reach), 2)
        finer = np.zeros(wanted.shape, bool)
        finer[::2, ::2, ::2] = known
        values, known, stride = doubled(values), finer, stride // 2
        _ask(field, lattice, values, known, wanted, stride, first * lattice.coarse)
    return values, known


def _settle(field: _Field, lattice: _Lattice, values: np.ndarray, known: np.ndarray, first: int) -> None:
    """Ask at the corners of every cell with a change of sign, until none of them is interpolated."""
    while True:
        wanted = spread(cells_near_zero(values, 0.0), 1)
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
