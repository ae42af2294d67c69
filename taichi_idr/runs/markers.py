"""Printed markers that the photos of a run show, as distances that somebody knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..cameras.pinhole import projections
from ..errors import BadInput
from ..meshes.scale import KnownDistance, PrintedMarker
from ..meshes.units import MARKER_KINDS, MarkerKind
from ..structure.markers import PlacedMarker, SeenMarker, placed_markers, seen_markers
from .loading import LoadedRun
from .views import stored_photos


@dataclass(frozen=True)
class Marked:
    """markers: placed in the normalised frame; photos: how many were looked at; sides: of the markers, world frame."""

    kind: MarkerKind
    markers: tuple[PlacedMarker, ...]
    photos: int
    sides: tuple[KnownDistance, ...]


def marked(loaded: LoadedRun, printed: PrintedMarker) -> Marked:
    """Markers in the photos of a run, placed by its cameras, trained ones where they were.

    Raises BadInput where photos show none, or one alone does; InputMissing where they are gone; Unavailable without
    OpenCV.
    """
    views, cameras = stored_photos(loaded)
    P, seen = projections(cameras).numpy(), {}
    for kind in MARKER_KINDS if printed.kind == "auto" else (printed.kind,):
        seen[kind] = seen_markers(views, kind)
        markers = tuple(placed_markers(seen[kind], P))
        if markers:
            sides = tuple(side for marker in markers for side in _sides(marker, loaded, printed))
            return Marked(kind, markers, len(views), sides)
    raise _none_placed(loaded, printed, seen)


def _sides(marker: PlacedMarker, loaded: LoadedRun, printed: PrintedMarker) -> list[KnownDistance]:
    T = loaded.T_world_normalised
    corners = marker.corners @ T[:3, :3].T + T[:3, 3]
    return [KnownDistance(corners[k - 1], corners[k], printed.metres) for k in range(4)]


def _none_placed(loaded: LoadedRun, printed: PrintedMarker, seen: dict[MarkerKind, list[SeenMarker]]) -> BadInput:
    kind = max(seen, key=lambda kind: len(seen[kind]))
    shown, photos = {one.view for one in seen[kind]}, len(loaded.cameras)
    if not shown:
        any_kind = printed.kind == "auto"
        why = f"{photos} photos show none of {'any kind' if any_kind else printed.kind}"
        todo = "photograph it flat, sharp and whole, with a white rim" + (
            "" if any_kind else "; or leave out --marker-kind"
        )
        return BadInput("no marker found", where=loaded.capture_folder, why=why, todo=todo)
    why = f"{len(shown)} of {photos} photos show {kind} {_numbers(seen[kind])}"
    todo = "two photos or more, from different sides, have to show a marker in one place"
    return BadInput("no marker can be placed", where=loaded.capture_folder, why=why, todo=todo)


def _numbers(seen: list[SeenMarker]) -> str:
    return ", ".join(map(str, np.unique([one.number for one in seen])[:5]))
