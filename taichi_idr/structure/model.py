"""What structure from motion finds: where the photos were taken, and points that several of them show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..capture.formats.source import CORNER_CENTRE, FoundView, Lens, Pinhole
from ..errors import BadInput
from ..files.npz import read_npz

SHAPES = {
    "rotations": (3, 3),
    "shifts": (3,),
    "cameras": (4,),
    "points": (3,),
    "errors": (),
    "observing": (),
    "observed": (),
    "places": (2,),
}
PER_VIEW, PER_POINT = ("rotations", "shifts", "cameras"), ("points", "errors")


@dataclass(frozen=True)
class Structure:
    """views: V of the photos that have a pose. points (N, 3), world frame; errors (N,): how far from where photos show
    them they fall in these, pixels.

    Observation m of M says that view observing[m] shows point observed[m] at places[m] (M, 2): column and row, integers
    at pixels' centres.
    """

    views: tuple[FoundView, ...]
    points: np.ndarray
    errors: np.ndarray
    observing: np.ndarray
    observed: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.views)

    @property
    def centres(self) -> np.ndarray:
        """Of the cameras (V, 3)."""
        return np.array([view.centre for view in self.views])

    @property
    def rotations(self) -> np.ndarray:
        """Camera -> world (V, 3, 3); the last column is the direction in which a camera looks."""
        return np.array([view.rotation for view in self.views])

    def seen_by(self, view: int) -> np.ndarray:
        """Indices of the points that a view shows."""
        return self.observed[self.observing == view]

    def moved(self, T_new_world: np.ndarray) -> Structure:
        """In another frame, by a similarity (4, 4)."""
        scaled, shift = T_new_world[:3, :3], T_new_world[:3, 3]
        turn = scaled / np.cbrt(np.linalg.det(scaled))
        views = [
            replace(view, rotation=rows_of(turn @ np.array(view.rotation)), centre=row_of(scaled @ view.centre + shift))
            for view in self.views
        ]
        return replace(self, views=tuple(views), points=self.points @ scaled.T + shift)


def read_structure(path: Path, photos: dict[str, Path], sizes: dict[str, tuple[int, int]], factor: float) -> Structure:
    """What a worker left, of copies shrunk by `factor`.

    photos, sizes: each copy's photo, and that one's width and height. Views are in the photos' order. Raises BadInput.
    """
    found = read_npz(path)
    try:
        names = [str(name) for name in found["names"]]
        counts = {**dict.fromkeys(PER_VIEW, len(names)), **dict.fromkeys(PER_POINT, len(found["points"]))}
        arrays = {key: _checked(found[key], shape, counts.get(key), path) for key, shape in SHAPES.items()}
    except KeyError as error:
        raise BadInput("damaged structure", where=path, why=f"it lacks {error}") from error
    there = all(
        ((arrays[key] >= 0) & (arrays[key] < count)).all()
        for key, count in (("observing", len(names)), ("observed", len(arrays["points"])))
    )
    if not there or not set(names) <= set(photos):
        raise BadInput("damaged structure", where=path, why="it names views or points that are not there")
    order = sorted(range(len(names)), key=lambda view: list(photos).index(names[view]))
    place = np.argsort(order)
    views = []
    for view in order:
        f, cx, cy, k = arrays["cameras"][view].tolist()
        width, height = sizes[names[view]]
        f, cx, cy = factor * f, factor * cx - CORNER_CENTRE, factor * cy - CORNER_CENTRE
        rotation = arrays["rotations"][view].T
        centre = -rotation @ arrays["shifts"][view]
        pinhole = Pinhole(f, f, cx, cy, width, height)
        views.append(FoundView(photos[names[view]], rows_of(rotation), row_of(centre), pinhole, Lens((k, 0.0))))
    return Structure(
        tuple(views),
        arrays["points"],
        factor * arrays["errors"],
        place[arrays["observing"].astype(int)],
        arrays["observed"].astype(int),
        factor * arrays["places"] - CORNER_CENTRE,
    )


def _checked(array: np.ndarray, shape: tuple[int, ...], count: int | None, path: Path) -> np.ndarray:
    numbers = array.dtype.kind in "iuf" and array.shape[1:] == shape and count in (None, len(array))
    if not numbers or not np.isfinite(array).all():
        raise BadInput("damaged structure", where=path, why=f"an array of shape {array.shape}, or not finite")
    return array.astype(float)


def row_of(values: np.ndarray) -> tuple[float, float, float]:
    """In plain numbers, as a FoundView has them."""
    a, b, c = (float(value) for value in values)
    return a, b, c


def rows_of(matrix: np.ndarray) -> tuple[tuple[float, float, float], ...]:
    """Likewise."""
    return tuple(row_of(row) for row in matrix)
