"""What exposure does to the colours of a photo, and which exposure leads from one picture to another.

Photos store light by the curve of sRGB (IEC 61966-2-1), a power above its toe: stored + 0.055 is proportional to
light^(1 / 2.4). Twice the light (one stop, 1 EV) therefore multiplies stored + 0.055 by 2^(1 / 2.4), exactly, whatever
the colour; a channel's own factor is white balance. What leaves [0, 1] is clipped, and says nothing.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

LIFT = 0.055
POWER = 2.4
DARK, BRIGHT = 0.02, 0.98  # beyond, a photo may be clipped
TINY = 1e-9


def gains_of(stops: Tensor) -> Tensor:
    """Factors of lifted colours, of the same shape as stops (EV)."""
    return 2 ** (stops / POWER)


def exposed(colour: np.ndarray, stops: np.ndarray | None) -> np.ndarray:
    """Colours (..., 3) in [0, 1] as a photo shows them whose exposure is `stops` (3,) EV above the usual, if any."""
    if stops is None:
        return colour
    lifted = (colour.astype(np.float32) + LIFT) * np.exp2(stops / POWER).astype(np.float32)
    return np.clip(lifted - LIFT, 0, 1)


def stops_between(rendered: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Stops (3,) from the colours (N, 3) in [0, 1] of a rendering to those of a photo; 0 of no pixel.

    Least squares over the lifted colours of pixels that are clipped in neither.
    """
    kept = ((photo > DARK) & (photo < BRIGHT) & (rendered > DARK) & (rendered < BRIGHT)).all(axis=1)
    if not kept.any():
        return np.zeros(3)
    before, after = rendered[kept].astype(np.float64) + LIFT, photo[kept].astype(np.float64) + LIFT
    return POWER * np.log2((before * after).sum(axis=0) / np.maximum((before**2).sum(axis=0), TINY))


def exposure_line(stops: np.ndarray, names: list[str]) -> str:
    """`fitted for each photo: -0.9 EV (view 012) to +0.8 EV (view 003)` of stops (V, 3)."""
    mean = stops.mean(axis=1)
    least, most = int(mean.argmin()), int(mean.argmax())
    ends = (f"{mean[view]:+.1f} EV (view {names[view]})" for view in (least, most))
    return f"fitted for each photo: {' to '.join(ends)}"
