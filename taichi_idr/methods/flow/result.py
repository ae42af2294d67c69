"""What a fit says of a sequence: one mesh that moves (FLOW-4), and how well it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...errors import Diverged
from ...meshes.mesh import Mesh, make_mesh, without_crumbs
from ...meshes.mise import COARSE, mise_surface
from .network import OccupancyFlow
from .prepared import LabelledSequence

LEAST_SHARE = 0.01  # of the largest part's volume: what encloses less is a crumb
CHUNK = 1 << 14  # points


@dataclass(frozen=True)
class FlowScores:
    """Of each frame (K,). iou: of inside and found inside, among evenly drawn points; correspondence: mean distance of
    moved vertices from where they are known to be, in the longest edge of the sequence's box, None where not known."""

    iou: np.ndarray
    correspondence: np.ndarray | None


def first_mesh(flow: OccupancyFlow, half: float, resolution: int) -> Mesh:
    """The surface at time 0 in the normalised frame; resolution: cells along the cube's edge, 32 times a power of two.

    Crumbs are left out. Raises Diverged where there is no surface.
    """
    levels = (resolution // COARSE).bit_length() - 1
    try:
        found = mise_surface(lambda points: -_logit(flow, points), half=half, coarse=COARSE, levels=levels)
    except Diverged as error:
        raise Diverged(error.what, why=error.why, todo="take more --steps") from error
    return make_mesh(*without_crumbs(found.vertices, found.faces, LEAST_SHARE))


def moving_mesh(flow: OccupancyFlow, first: Mesh, times: np.ndarray) -> Iterator[Mesh]:
    """The mesh of time 0 with its vertices where they are at rising times (FLOW-4); normalised frame."""
    places, before = torch.from_numpy(first.vertices), 0.0
    for time in times.tolist():
        places, before = carried(flow, places, before, time), time
        yield replace(make_mesh(places.cpu().double().numpy(), first.faces), colours=first.colours)


@torch.no_grad()
def carried(flow: OccupancyFlow, points: Tensor, begin: float, end: float) -> Tensor:
    """Points (N, 3) of time `begin` at time `end`, as exactly as results are."""
    parts = []
    for part in points.to(next(flow.parameters())).split(CHUNK):
        times = part.new_full((len(part),), begin), part.new_full((len(part),), end)
        parts.append(flow.moved(part, *times, fine=True))
    return torch.cat(parts)


def scores(flow: OccupancyFlow, sequence: LabelledSequence) -> FlowScores:
    """How well the motion explains labelled points, which should not be those of the fit, and known ways."""
    iou = []
    for time, points, inside in zip(sequence.times, sequence.points, sequence.inside, strict=True):
        found = (_logit(flow, carried(flow, torch.from_numpy(points), float(time), 0.0)) > 0).cpu().numpy()
        iou.append((found & inside).sum() / max((found | inside).sum(), 1))
    return FlowScores(
        np.array(iou), None if sequence.ways is None else _way_errors(flow, sequence.times, sequence.ways)
    )


def _way_errors(flow: OccupancyFlow, times: np.ndarray, ways: np.ndarray) -> np.ndarray:
    errors, places, before = [], torch.from_numpy(ways[0]), 0.0
    for time, there in zip(times.tolist(), ways, strict=True):
        places, before = carried(flow, places, before, time), time
        errors.append(np.linalg.norm(places.cpu().numpy() - there, axis=1).mean())
    return np.array(errors)


@torch.no_grad()
def _logit(flow: OccupancyFlow, points: Tensor) -> Tensor:
    return torch.cat([flow.logit(part) for part in points.split(CHUNK)])
