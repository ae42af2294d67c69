"""Views that contradict the others: by how much is too much, and how it is said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import BadInput
from .formats.source import listed

MEDIAN_AGREEMENT, VIEW_AGREEMENT = 0.82, 0.7
"""Share of a view's object rays that meet the hull of all views: least median, and below which a view is named.
Measured medians: true cameras 1.00, rough ones (1.5 degrees, 7 mm) 0.97, masks in random order 0.57 to 0.78."""
CHECK = "check the order of the masks, and that the cameras belong to these photos"


def check_agreement(shares: np.ndarray, names: Sequence[str], named: Sequence[int] = ()) -> list[str]:
    """Warnings that name views of low agreement (V,), but for those `named` already. Raises BadInput where half of
    them are."""
    if np.median(shares) < MEDIAN_AGREEMENT:
        raise disagreement(shares, names)
    low = [name for view, name in enumerate(names) if shares[view] < VIEW_AGREEMENT and view not in named]
    return [f"masks of views {listed(low)} disagree with the other {len(names) - len(low)}"] if low else []


def disagreement(shares: np.ndarray, names: Sequence[str]) -> BadInput:
    """The error that names the views with the least agreement."""
    worst = np.argsort(shares, kind="stable")
    low = [names[int(view)] for view in worst if shares[view] < VIEW_AGREEMENT] or [names[int(worst[0])]]
    why = f"views {listed(low)} show the object where the others do not"
    return BadInput("masks disagree", where=f"{len(low)} of {len(names)} views", why=why, todo=CHECK)
