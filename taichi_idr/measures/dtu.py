"""The DTU benchmark's distance between a mesh and a structured-light scan (EVAL-6).

Jensen et al., *Large Scale Multi-view Stereopsis Evaluation*, CVPR 2014. Spacing, margins and order of the steps are
those of the port to Python by which meshes are usually compared (github.com/jzhangbs/DTUeval-python).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..errors import BadInput, InputMissing, UsageError
from ..files.mat import read_mat
from ..meshes.mesh import Mesh
from ..meshes.reading import read_points
from ..nearest import tree_of

SPACING = 0.2  # mm between the points that stand for the mesh
CUTOFF = 20.0  # mm; what is farther away is left out
MARGINS = (60.0, 120.0)  # mm below and above the mask's box within which the mesh counts
SEED = 0
MOST_POINTS = 32_000_000
MOST_CELLS = 1 << 28
_CHUNK_POINTS = 4_000_000
_FIRST_THINNED = 256
_TODO = "restore it from the DTU sample set"


@dataclass(frozen=True)
class DtuScan:
    """What the benchmark knows of one scan, mm in its world frame.

    surface: (N, 3) scanned points. observed: (X, Y, Z) bool, where the scanner could see; the centre of cell (i, j, k)
    is box[0] + step (i, j, k). box: (2, 3). plane: (4,), positive above the table.
    """

    surface: np.ndarray
    observed: np.ndarray
    box: np.ndarray
    step: float
    plane: np.ndarray


@dataclass(frozen=True)
class DtuDistance:
    """mm; NaN where nothing lies within the cut-off. accuracy: from the mesh to the scan; completeness: back;
    chamfer: their mean."""

    dtu_accuracy: float
    dtu_completeness: float
    dtu_chamfer: float


def scan_number(name: str) -> int:
    """65 of `dtu_scan65`. Raises UsageError."""
    found = re.search(r"scan[ _-]?(\d{1,4})", name, re.IGNORECASE)
    if not found:
        raise UsageError("unknown scan", where=f"--protocol dtu: {name}", todo="name its number: --scan 65")
    return int(found[1])


def read_scan(folder: Path, scan: int) -> DtuScan:
    """Read `Points/stl/stl065_total.ply`, `ObsMask/ObsMask65_10.mat` and `ObsMask/Plane65.mat` below `folder`.

    Raises InputMissing for a folder or file that is absent, BadInput for one that is damaged or holds something else.
    """
    files = folder / "Points" / "stl" / f"stl{scan:03d}_total.ply", folder / "ObsMask" / f"ObsMask{scan}_10.mat"
    plane_file = folder / "ObsMask" / f"Plane{scan}.mat"
    for file in (*files, plane_file):
        if not file.exists():
            raise InputMissing("DTU file not found", where=file, todo="name the folder that holds Points and ObsMask")
    mask = _matrices(files[1], {"ObsMask": 3, "BB": 2, "Res": 2})
    box, step = mask["BB"].astype(np.float64), float(mask["Res"].flat[0])
    if box.shape != (2, 3) or not np.isfinite(box).all() or not (box[0] < box[1]).all() or not 0 < step < math.inf:
        why = f"BB {box.tolist()} is no box, or Res {step} no size"
        raise BadInput("bad mask", where=files[1], why=why, todo=_TODO)
    plane = _matrices(plane_file, {"P": 2})["P"].astype(np.float64).ravel()
    if plane.shape != (4,) or not np.isfinite(plane).all() or not plane[:3].any():
        why = f"P has {plane.size} numbers, expected a plane's four"
        raise BadInput("bad plane", where=plane_file, why=why, todo=_TODO)
    return DtuScan(read_points(files[0]), mask["ObsMask"] != 0, box, step, plane)


def dtu_distance(mesh: Mesh, scan: DtuScan, *, seed: int = SEED) -> DtuDistance:
    """Distances between `mesh`, mm in the benchmark's frame, and `scan`.

    Accuracy is measured at the mesh's points in observed cells, completeness at scanned points above the table.
    Raises BadInput where the mesh has more surface than a table carries.
    """
    low, high = scan.box[0] - MARGINS[0], scan.box[1] + MARGINS[1]
    points = surface_points(mesh, SPACING, low - SPACING, high + SPACING)
    points = thinned(points, SPACING, np.random.default_rng(seed))
    points = points[((points >= low) & (points < high)).all(axis=1)]
    above = scan.surface[scan.surface @ scan.plane[:3] + scan.plane[3] > 0]
    accuracy = _mean_distance(points[_is_observed(points, scan)], scan.surface)
    completeness = _mean_distance(above, points)
    return DtuDistance(accuracy, completeness, (accuracy + completeness) / 2)


def surface_points(mesh: Mesh, spacing: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Vertices and, in each triangle, a grid of cells about `spacing` wide: points (N, 3) within [low, high].

    The grid runs along two edges; the steps are stretched alike, so that a cell's area is spacing squared.
    """
    corners = mesh.vertices[mesh.faces]
    corners = corners[((corners.max(axis=1) >= low) & (corners.min(axis=1) <= high)).all(axis=1)]
    sides = corners[:, 1:] - corners[:, :1]
    lengths = np.linalg.norm(sides, axis=2)
    areas = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    solid = areas > 0
    corners, sides, lengths, areas = corners[solid], sides[solid], lengths[solid], areas[solid]
    cells = np.floor(lengths / (spacing * np.sqrt(lengths.prod(axis=1) / areas))[:, None])
    counts = cells.prod(axis=1)
    if counts.sum() > MOST_POINTS:
        why = f"about {areas.sum() / 2:.3g} square mm of surface near the scan"
        raise BadInput("mesh too large", where="--protocol dtu", why=why, todo="check that its unit is the millimetre")
    firsts = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum(), _CHUNK_POINTS))
    parts = [mesh.vertices]
    for first, last in pairwise([*firsts, len(counts)]):
        part = slice(first, last)
        parts.append(_grid_points(corners[part, 0], sides[part], cells[part].astype(np.int64)))
    return np.concatenate([part[((part >= low) & (part <= high)).all(axis=1)] for part in parts])


def thinned(points: np.ndarray, spacing: float, generator: np.random.Generator) -> np.ndarray:
    """Of points (N, 3) those that are, in random order, farther than `spacing` from all that were taken before.

    They are looked at in parts that double: most of a part is near what was taken already, so that memory is bounded
    by the points and not by their pairs.
    """
    order = generator.permutation(len(points))
    taken = np.empty((0, 3))
    start, size = 0, _FIRST_THINNED
    while start < len(points):
        part = points[order[start : start + size]]
        if len(taken):
            near, _ = tree_of(taken).query(part, distance_upper_bound=spacing)
            part = part[np.isinf(near)]
        taken = np.concatenate([taken, part[_taken_in_order(part, spacing)]])
        start, size = start + size, start + size
    return taken


def _taken_in_order(points: np.ndarray, spacing: float) -> np.ndarray:
    """Which of points (N, 3), one after the other, are farther than `spacing` from all those taken before.

    Round by round: a point with no undecided one before it nearby is taken, and rules out those after it.
    """
    pairs = tree_of(points).query_pairs(spacing, output_type="ndarray")  # earlier, later
    undecided, taken = np.ones(len(points), bool), np.zeros(len(points), bool)
    while undecided.any():
        pairs = pairs[undecided[pairs].all(axis=1)]
        chosen = undecided.copy()
        chosen[pairs[:, 1]] = False
        taken |= chosen
        undecided[chosen] = False
        undecided[pairs[chosen[pairs[:, 0]], 1]] = False
    return taken


def _grid_points(origins: np.ndarray, sides: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Middles of the cells (T, 2) along `sides` (T, 2, 3) that lie in the triangle."""
    counts = cells.prod(axis=1)
    triangle = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(triangle)) - np.repeat(np.cumsum(counts) - counts, counts)
    across = cells[triangle, 1]
    shares = (np.stack([within // across, within % across], axis=1) + 0.5) / cells[triangle]
    inside = shares.sum(axis=1) < 1
    triangle, shares = triangle[inside], shares[inside]
    return origins[triangle] + np.einsum("nk,nki->ni", shares, sides[triangle])


def _is_observed(points: np.ndarray, scan: DtuScan) -> np.ndarray:
    cells = np.rint((points - scan.box[0]) / scan.step).astype(np.int64)
    inside = ((cells >= 0) & (cells < scan.observed.shape)).all(axis=1)
    inside[inside] = scan.observed[tuple(cells[inside].T)]
    return inside


def _mean_distance(points: np.ndarray, target: np.ndarray) -> float:
    """Mean distance from points (N, 3) to the nearest of `target` (M, 3), without those beyond the cut-off."""
    if not len(points) or not len(target):
        return math.nan
    apart, _ = tree_of(target).query(points, distance_upper_bound=CUTOFF)
    apart = apart[np.isfinite(apart)]
    return float(apart.mean()) if len(apart) else math.nan


def _matrices(file: Path, wanted: dict[str, int]) -> dict[str, np.ndarray]:
    """Numeric matrices of a MATLAB 5 file by name, each with the number of dimensions asked for."""
    loaded = read_mat(file, list(wanted), MOST_CELLS)
    for name, dimensions in wanted.items():
        matrix = loaded.get(name)
        if matrix is None or matrix.ndim != dimensions:
            why = f"expected numbers in {dimensions} dimensions"
            raise BadInput("bad or missing matrix", where=f"{file}: {name}", why=why, todo=_TODO)
        if matrix.size == 0:
            raise BadInput("empty matrix", where=f"{file}: {name}", todo=_TODO)
    return loaded
