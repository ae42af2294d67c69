"""Printed markers, ArUco and AprilTag: found in photos by OpenCV, and placed in space by cameras that are known.

OpenCV's corners are good to some tenths of a pixel, and lie too far inside where a photo is blurred. So the sides of a
black square are looked for as lines, through the places where the photo turns from white to black. Blur and bent tones
shift such edges towards the black; the inner edges of the black border, which they shift outwards, tell how far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from ..capture.distortion import Straightening
from ..capture.formats.source import FoundView
from ..capture.images import decode_all, opened, sixteen_bit
from ..meshes.units import MarkerKind
from .features import opencv

DICTIONARIES: dict[MarkerKind, str] = {
    "aruco4x4": "DICT_4X4_1000",  # holds the smaller ones of as many cells
    "aruco5x5": "DICT_5X5_1000",
    "aruco6x6": "DICT_6X6_1000",
    "aruco7x7": "DICT_7X7_1000",
    "aruco-original": "DICT_ARUCO_ORIGINAL",
    "apriltag16h5": "DICT_APRILTAG_16h5",
    "apriltag25h9": "DICT_APRILTAG_25h9",
    "apriltag36h10": "DICT_APRILTAG_36h10",
    "apriltag36h11": "DICT_APRILTAG_36h11",
}
PROFILES = 8  # across a side, in each of its cells but those at the corners
OUTSIDE, INSIDE, DEPTHS = -0.6, 1.6, 67  # cells: where a profile begins and ends; its samples
LEVEL = 0.15  # cells: over how much of a profile a level is averaged
CONTRAST = 20  # of 255, least, between white and black
LOOKS = 3  # for the sides of one marker
FEWEST_EDGES = 6  # places that a side is found by
OFF_LINE = 3.0  # of the median distance from the line: places beyond it are left out
NARROWEST = 2.0  # degrees between the rays that corners are placed by
WORST = 3.0  # pixels that a corner may lie from where it is shown
WORST_SHARE = 0.05  # or as large a share of the marker's side
MOST_PAIRS = 500  # of photos in which one code is looked for in the same place
OFF_PLACE, CLEAR = 3.0, 0.3  # of the median residual, and pixels: photos beyond both are left out
UNEVEN = 0.1  # of a side's length: how far those of one square may differ
TURNS = 4  # of weighing equations by depth


@dataclass(frozen=True, eq=False)
class SeenMarker:
    """In one photo. number: of its code; corners (4, 2): of its black square, clockwise from its own upper left, column
    and row in the straight photo of full size."""

    view: int
    number: int
    corners: np.ndarray

    @property
    def side(self) -> float:
        """Pixels, mean of four."""
        return float(_sides(self.corners).mean())


@dataclass(frozen=True)
class PlacedMarker:
    """In space. corners (4, 3): in the frame of the cameras; photos: how many it was placed by; residual: rms distance
    of its corners from where these show them, pixels."""

    number: int
    corners: np.ndarray
    photos: int
    residual: float


def seen_markers(views: Sequence[FoundView], kind: MarkerKind) -> list[SeenMarker]:
    """Markers in photos as they are stored, whole: nothing is masked, and colours below transparency count.

    Raises Unavailable without OpenCV; BadInput, naming a photo that cannot be decoded.
    """
    aruco = opencv("markers in photos").aruco
    dictionary = aruco.getPredefinedDictionary(getattr(aruco, DICTIONARIES[kind]))
    found = decode_all(partial(_found, dictionary), [view.image for view in views])
    return [
        SeenMarker(number, code, corners)
        for number, (view, markers) in enumerate(zip(views, found, strict=True))
        for code, sides in markers
        if (corners := _corners([_straight(view, places) for places in sides])) is not None
    ]


def placed_markers(seen: Sequence[SeenMarker], projections: np.ndarray) -> list[PlacedMarker]:
    """Squares that two photos or more show in one place; of one code there may be several.

    projections: (V, 3, 4) float64, world -> pixel of the straight photos.
    """
    placed = []
    for number in sorted({one.number for one in seen}):
        left = [one for one in seen if one.number == number]
        while group := _agreeing(left, projections):
            marker = _placed(group, projections)
            if _is_square(marker.corners):
                placed.append(marker)
            left = [one for one in left if one not in group]
    return placed


def _found(dictionary: Any, path: Path) -> list[tuple[int, list[np.ndarray]]]:
    """Of each marker its number, and of its four sides places (N, 2) in the photo as stored."""
    aruco, grey = opencv().aruco, _grey(path)
    parameters = aruco.DetectorParameters()
    parameters.cornerRefinementMethod = aruco.CORNER_REFINE_SUBPIX
    corners, numbers, _ = aruco.ArucoDetector(dictionary, parameters).detectMarkers(grey)
    found = []
    for places, number in zip(corners, () if numbers is None else numbers.ravel().tolist(), strict=True):
        cells = dictionary.markerSize + 2
        pattern = aruco.generateImageMarker(dictionary, number, cells, borderBits=1) > 0
        found.append((number, _sharpened(grey, places.reshape(4, 2), pattern)))
    return found


def _grey(path: Path) -> np.ndarray:
    """(H, W) uint8, whatever is transparent."""
    with opened(path) as image:
        wide = sixteen_bit(image)
        return np.asarray(image.convert("RGB").convert("L")) if wide is None else (wide // 257).astype(np.uint8)


def _sharpened(grey: np.ndarray, corners: np.ndarray, pattern: np.ndarray) -> list[np.ndarray]:
    """Places (N, 2) on each side, in turns: the corners tell how long a cell is, and that what shifts edges."""
    sides = _side_places(grey, corners, pattern)
    for _ in range(LOOKS - 1):
        better = _corners(sides)
        if better is None:
            break
        sides = _side_places(grey, better, pattern)
    return sides


def _side_places(grey: np.ndarray, corners: np.ndarray, pattern: np.ndarray) -> list[np.ndarray]:
    """Places (N, 2) on each side of a black square. pattern: (C, C) which cells are white, the black border included.

    Each side in turn is the upper one. Edges are shifted alike at opposite sides, which are foreshortened alike.
    """
    edges = [_edges(grey, np.roll(corners, -k, axis=0), np.rot90(pattern, k)) for k in range(4)]
    shifts = [np.concatenate([edges[k].shifts, edges[(k + 2) % 4].shifts]) for k in range(4)]
    return [edge.at(np.median(shift) if len(shift) else 0.0) for edge, shift in zip(edges, shifts, strict=True)]


@dataclass(frozen=True)
class _Edges:
    """The upper side of a square, in its cells. across (N,): along the side; depth (N,): where the photo turns from
    white to black; shifts (M,): how much too deep that is, where the inner edge of the border tells it; photo: from
    there to pixels."""

    across: np.ndarray
    depth: np.ndarray
    shifts: np.ndarray
    photo: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def at(self, shift: float) -> np.ndarray:
        return self.photo(self.across, self.depth - shift)


def _edges(grey: np.ndarray, corners: np.ndarray, pattern: np.ndarray) -> _Edges:
    cells = len(pattern)
    photo = _projected(corners, cells)
    across = (np.arange(PROFILES * (cells - 2)) + 0.5) / PROFILES + 1
    depths = np.linspace(OUTSIDE, INSIDE, DEPTHS)
    column, row = np.moveaxis(photo(*np.meshgrid(across, depths, indexing="ij")), -1, 0)
    profiles = map_coordinates(grey, (row, column), np.float64, order=1, mode="nearest")
    outer = _turning(profiles, depths, OUTSIDE, 0.5)
    inner = _turning(profiles[:, ::-1], depths[::-1], INSIDE, 0.5)
    is_white = pattern[1, across.astype(int)] & np.isfinite(outer + inner)
    shifts = (1 - (inner - outer)[is_white]) / 2
    good = np.isfinite(outer)
    return _Edges(across[good], outer[good], shifts, photo)


def _projected(corners: np.ndarray, cells: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """From cells of a square to pixels (..., 2)."""
    square = np.array([[0, 0], [cells, 0], [cells, cells], [0, cells]], np.float32)
    H = opencv().getPerspectiveTransform(square, corners.astype(np.float32))

    def photo(across: np.ndarray, depth: np.ndarray) -> np.ndarray:
        places = np.stack([across, depth, np.ones_like(across)], axis=-1) @ H.T
        return places[..., :2] / places[..., 2:]

    return photo


def _turning(profiles: np.ndarray, depths: np.ndarray, white: float, black: float) -> np.ndarray:
    """(N,) depth half way from white to black of profiles (N, D), which begin in the white; NaN where there is none.

    white, black: depths of cells' insides.
    """
    bright, dark = (profiles[:, np.abs(depths - place) <= LEVEL].mean(axis=1) for place in (white, black))
    is_dark = profiles < ((bright + dark) / 2)[:, None]
    first = is_dark.argmax(axis=1)
    rows = np.arange(len(profiles))
    after, before = profiles[rows, first], profiles[rows, np.maximum(first - 1, 0)]
    share = ((bright + dark) / 2 - before) / np.where(after == before, 1, after - before)
    found = depths[np.maximum(first - 1, 0)] + share * (depths[1] - depths[0])
    return np.where((first > 0) & (bright - dark > CONTRAST), found, np.nan)


def _straight(view: FoundView, places: np.ndarray) -> np.ndarray:
    return Straightening(view.lens, view.pinhole).straightened(places) if view.lens.bends else places


def _corners(sides: Sequence[np.ndarray]) -> np.ndarray | None:
    """(4, 2) where the lines of four sides meet; None where a side was not found."""
    if min(map(len, sides)) < FEWEST_EDGES:
        return None
    lines = [_line(places) for places in sides]
    meeting = np.stack([np.cross(lines[k - 1], lines[k]) for k in range(4)])
    return meeting[:, :2] / meeting[:, 2:]


def _line(places: np.ndarray) -> np.ndarray:
    """(3,) n and d with n . x + d = 0 of places (N, 2), without those that are far off it."""
    line = _fitted(places)
    gaps = np.abs(places @ line[:2] + line[2])
    return _fitted(places[gaps <= OFF_LINE * np.median(gaps) + 1e-9])


def _fitted(places: np.ndarray) -> np.ndarray:
    middle = places.mean(axis=0)
    normal = np.linalg.svd(places - middle)[2][1]
    return np.append(normal, -normal @ middle)


def _agreeing(seen: Sequence[SeenMarker], P: np.ndarray) -> list[SeenMarker]:
    """The most that show a marker of one code in one place, one of each photo; empty where no two do."""
    best, least = [], np.inf
    for pair in _pairs(seen, P):
        corners = _triangulated(pair, P)
        gaps = np.array([_gaps(one, corners, P).max() / max(WORST, WORST_SHARE * one.side) for one in seen])
        nearest: dict[int, int] = {}
        for k in np.argsort(-gaps, kind="stable"):
            if gaps[k] < 1:
                nearest[seen[k].view] = int(k)
        chosen = sorted(nearest.values())
        if len(chosen) > max(len(best), 1) or (len(chosen) == len(best) and gaps[chosen].sum() < least):
            best, least = chosen, gaps[chosen].sum()
    return [seen[k] for k in best]


def _pairs(seen: Sequence[SeenMarker], P: np.ndarray) -> list[tuple[SeenMarker, SeenMarker]]:
    """Of different photos, whose rays to the marker meet at an angle; some of many."""
    rays = [np.linalg.solve(P[one.view, :, :3], np.append(one.corners.mean(axis=0), 1)) for one in seen]
    units = np.array([ray / np.linalg.norm(ray) for ray in rays]).reshape(-1, 3)
    narrow = units @ units.T > np.cos(np.radians(NARROWEST))
    numbered = combinations(range(len(seen)), 2)
    pairs = [(seen[i], seen[j]) for i, j in numbered if seen[i].view != seen[j].view and not narrow[i, j]]
    return pairs[:: len(pairs) // MOST_PAIRS + 1]


def _placed(group: Sequence[SeenMarker], P: np.ndarray) -> PlacedMarker:
    """By all of a group but those that are far off."""
    corners = _triangulated(group, P)
    gaps = np.array([_gaps(one, corners, P).max() for one in group])
    limit = max(CLEAR, OFF_PLACE * float(np.median(gaps)))
    kept = [one for one, gap in zip(group, gaps, strict=True) if gap <= limit]
    corners = _triangulated(kept, P)
    residual = np.sqrt(np.mean([_gaps(one, corners, P) ** 2 for one in kept]))
    return PlacedMarker(group[0].number, corners, len(kept), float(residual))


def _triangulated(seen: Sequence[SeenMarker], P: np.ndarray) -> np.ndarray:
    """(4, 3) corners with the least squared distance, in pixels, from where they are shown: linear equations, weighed
    by depth as last found."""
    own = P[[one.view for one in seen]]
    places = np.stack([one.corners for one in seen])
    rows = places[..., None] * own[:, None, None, 2] - own[:, None, :2]
    weights = np.ones(places.shape[:2])
    for _ in range(TURNS):
        A = np.moveaxis(rows * weights[..., None, None], 1, 0).reshape(4, -1, 4)
        squares = np.swapaxes(A[..., :3], 1, 2) @ A
        corners = np.linalg.solve(squares[..., :3], -squares[..., 3:])[..., 0]
        depth = corners @ own[:, 2, :3].T + own[:, 2, 3]
        weights = 1 / np.where(np.abs(depth.T) > 1e-9, depth.T, 1e-9)
    return corners


def _gaps(one: SeenMarker, corners: np.ndarray, P: np.ndarray) -> np.ndarray:
    """(4,) pixels from corners (4, 3) to where a photo shows them; infinite behind it."""
    projected = corners @ P[one.view, :, :3].T + P[one.view, :, 3]
    depth = projected[:, 2:]
    gaps = np.linalg.norm(projected[:, :2] / np.where(depth > 0, depth, 1) - one.corners, axis=1)
    return np.where(depth[:, 0] > 0, gaps, np.inf)


def _is_square(corners: np.ndarray) -> bool:
    """Whether four points (4, 3) have sides of one length, and diagonals that are as much longer as a square's."""
    sides, diagonals = _sides(corners), np.linalg.norm(corners[:2] - corners[2:], axis=1)
    lengths = np.concatenate([sides, diagonals / np.sqrt(2)])
    return bool(np.ptp(lengths) < UNEVEN * lengths.mean())


def _sides(corners: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
