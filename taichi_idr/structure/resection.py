"""Photos that found no place among the others at first: placed by the points that they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .features import opencv

FEWEST = 20  # points that have to agree
ERROR = 4e-3  # of the longer side: how far from its place a point may fall
CONFIDENCE, TRIALS = 0.9999, 10_000


def resected(
    view: int,
    rays: Sequence[np.ndarray],
    links: Mapping[tuple[int, int], np.ndarray],
    shows: Mapping[int, np.ndarray],
    points: np.ndarray,
    focal: float,
) -> tuple[np.ndarray, np.ndarray] | None:
    """R (3, 3), world -> camera, and centre (3,) of a view; None where too few points agree.

    rays: V of (N, 2), features on the plane z = 1. links: of pairs of views, (M, 2) features that are alike. shows: of
    placed views, the point that each feature shows, -1 for none. focal: in the longer side.
    """
    cv2 = opencv()
    own, seen = [], []
    for (one, other), pairs in links.items():
        if view in (one, other):
            mine, theirs = (0, 1) if view == one else (1, 0)
            placed = other if view == one else one
            if placed in shows:
                point = shows[placed][pairs[:, theirs]]
                own.append(pairs[point >= 0, mine])
                seen.append(point[point >= 0])
    if sum(len(part) for part in own) < FEWEST:
        return None
    both = np.unique(np.column_stack([np.concatenate(own), np.concatenate(seen)]), axis=0)
    if len(both) < FEWEST:
        return None
    places = points[both[:, 1]], np.ascontiguousarray(rays[view][both[:, 0]])
    limits = {"reprojectionError": ERROR / focal, "confidence": CONFIDENCE, "iterationsCount": TRIALS}
    found, turn, shift, inside = cv2.solvePnPRansac(*places, np.eye(3), None, flags=cv2.SOLVEPNP_SQPNP, **limits)
    if not found or inside is None or len(inside) < FEWEST:
        return None
    R = cv2.Rodrigues(turn)[0]
    return R, -(R.T @ shift)[:, 0]
