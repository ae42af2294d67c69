"""Exposures of photos from the points that they share, on the object and on what it stands on.

A fit that learns exposures beside a renderer which knows directions mistakes shading for exposure; points seen by many
photos do not.
"""

from __future__ import annotations

import numpy as np
import torch

from ..capture.exposure import BRIGHT, DARK, LIFT, POWER
from ..capture.shared_points import explained_stops, spread_beside_neighbours
from ..types import Cameras
from .model import Structure

MOST = 6000  # points, those that most photos show
FEWEST = 30  # points of a photo, below which its exposure is not known well
LEAST_SPREAD = 0.15  # EV, robust deviation of photos from those beside them: lights and their shadows do less


def track_stops(structure: Structure, colours: list[np.ndarray], cameras: Cameras) -> np.ndarray | None:
    """(V, 3) EV, the median photo's 0 in each channel; None where photos from the same side are alike, or share too few
    points.

    colours: of each view (M, 3) in [0, 1], what it shows at the points `structure.seen_by(view)`. cameras: of the
    views, the object at the origin.
    """
    counts = np.bincount(structure.observed, minlength=len(structure.points))
    chosen = np.argsort(-counts, kind="stable")[:MOST]
    place = np.full(len(structure.points), -1)
    place[chosen] = np.arange(len(chosen))
    light = torch.zeros(len(structure), len(chosen), 3)
    shown = torch.zeros_like(light)
    for view, colour in enumerate(colours):
        at = place[structure.seen_by(view)]
        index, values = torch.from_numpy(at[at >= 0]), torch.from_numpy(colour[at >= 0].astype(np.float32))
        light[view, index] = POWER * torch.log2(values + LIFT)
        shown[view, index] = ((values > DARK) & (values < BRIGHT)).float()
    if int(shown.sum(dim=1).min()) < FEWEST:
        return None
    stops = explained_stops(light, shown).stops
    return stops.numpy() if spread_beside_neighbours(stops, cameras) > LEAST_SPREAD else None
