"""Photos of a table with printed markers on it, exact but for their pixels: rays are cast, several to a pixel, and
their light is added before it becomes sRGB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from taichi_idr.cameras.rotations import facing
from taichi_idr.capture.distortion import Straightening, unbent
from taichi_idr.capture.formats.source import FoundView, Lens, Pinhole
from taichi_idr.structure.features import opencv

SIZE = (480, 360)
PINHOLE = Pinhole(560.0, 562.0, 241.3, 178.1, *SIZE)
SAMPLES = 4  # along each side of a pixel
BLACK, WHITE = 0.03, 0.8  # of the light that paper reflects


@dataclass(frozen=True)
class Printed:
    """A marker on the plane z = 0: its code, side, centre (x, y) and turn in radians; its rim is white."""

    number: int = 7
    side: float = 0.4
    centre: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.3
    dictionary: str = "DICT_4X4_50"

    @property
    def pattern(self) -> np.ndarray:
        """(C + 2, C + 2) bool, which cells are white, with a rim of one cell."""
        aruco = opencv().aruco
        dictionary = aruco.getPredefinedDictionary(getattr(aruco, self.dictionary))
        cells = dictionary.markerSize + 2
        return np.pad(aruco.generateImageMarker(dictionary, self.number, cells) > 0, 1, constant_values=True)

    def painted(self, place: np.ndarray, light: np.ndarray) -> np.ndarray:
        """Light (N,) of places (N, 2) of the plane, where the marker lies on it."""
        pattern, c, s = self.pattern, np.cos(self.turn), np.sin(self.turn)
        own = (place - self.centre) @ np.array([[c, s], [s, -c]])  # its rows run towards -y: seen from above
        cell = np.floor(own / self.side * (len(pattern) - 2) + len(pattern) / 2).astype(int)
        on = ((cell >= 0) & (cell < len(pattern))).all(axis=1)
        white = pattern[tuple(cell.clip(0, len(pattern) - 1)[:, ::-1].T)]
        return np.where(on, np.where(white, WHITE, BLACK), light)


def views_of_table(
    count: int, folder: Path, *, slope: float = 0.8, distance: float = 3.0, lens: Lens | None = None
) -> list[FoundView]:
    """Around the origin, z upward. slope: radians above the table."""
    found = []
    for k in range(count):
        turn = 2 * np.pi * k / count
        centre = distance * np.array([np.cos(turn) * np.cos(slope), np.sin(turn) * np.cos(slope), np.sin(slope)])
        rotation = facing(np.array([0.05 * k, -0.04, 0]) - centre, np.array([0.0, 0, 1]))
        rows = tuple(map(tuple, rotation.tolist()))
        found.append(FoundView(folder / f"{k:03d}.png", rows, tuple(centre), PINHOLE, lens or Lens(())))
    return found


def photograph(
    views: Sequence[FoundView], markers: Sequence[Printed], *, noise: float = 2.0, gamma: float = 0.0
) -> None:
    """Writes the photos of views. noise: of 255, standard deviation; gamma: of photos that are not sRGB."""
    random = np.random.default_rng(0)
    for view in views:
        view.image.parent.mkdir(parents=True, exist_ok=True)
        light = _seen(view, markers)
        grey = 255 * (light ** (1 / gamma) if gamma else 1.055 * light ** (1 / 2.4) - 0.055)
        grey = (grey + noise * random.standard_normal(grey.shape)).clip(0, 255)
        Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB").save(view.image)


def projections(views: Sequence[FoundView]) -> np.ndarray:
    """(V, 3, 4) of the views' straightened photos."""
    parts = []
    for view in views:
        p = Straightening(view.lens, view.pinhole).straight if view.lens.bends else view.pinhole
        R = np.array(view.rotation).T
        K = np.array([[p.fx, 0, p.cx], [0, p.fy, p.cy], [0, 0, 1]])
        parts.append(K @ np.column_stack([R, -R @ np.array(view.centre)]))
    return np.stack(parts)


def _seen(view: FoundView, markers: Sequence[Printed]) -> np.ndarray:
    """(H, W) light; many rays a pixel where a marker may be."""
    p = view.pinhole
    v, u = np.mgrid[: p.height, : p.width].astype(float)
    place = _places(view, u.ravel(), v.ravel())
    light, near = _lit(place, markers), np.zeros(len(place), bool)
    for marker in markers:
        near |= np.linalg.norm(place - marker.centre, axis=1) < marker.side
    steps = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    fine = [_places(view, u.ravel()[near] + du, v.ravel()[near] + dv) for du in steps for dv in steps]
    light[near] = np.mean([_lit(places, markers) for places in fine], axis=0)
    return light.reshape(u.shape)


def _lit(place: np.ndarray, markers: Sequence[Printed]) -> np.ndarray:
    light = 0.35 + 0.1 * np.sin(5 * place[:, 0] + place[:, 1]) + 0.1 * np.sin(3 * place[:, 1] - 4 * place[:, 0])
    for marker in markers:
        light = marker.painted(place, light)
    return light


def _places(view: FoundView, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(N, 2) of the table that pixels see."""
    p, centre = view.pinhole, np.array(view.centre)
    x, y = unbent(view.lens, (u - p.cx) / p.fx, (v - p.cy) / p.fy)
    rays = np.stack([x, y, np.ones_like(x)], axis=1) @ np.array(view.rotation).T
    return centre[:2] - centre[2] / rays[:, 2:] * rays[:, :2]
