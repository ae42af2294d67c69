"""One photo cut into object and background by GrabCut, from pixels that are known and pixels that are likely.

Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004; OpenCV's implementation.
"""

from __future__ import annotations

import numpy as np

from ..structure.features import opencv

BACKGROUND, OBJECT, LIKELY_BACKGROUND, LIKELY_OBJECT = 0, 1, 2, 3  # cv2.GC_...
ROUNDS = 2  # more let the models of colours drift onto each other where seeds are few


def cut(colour: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The object's mask (h, w) bool of a photo (h, w, 3) uint8. seeds (h, w) uint8: BACKGROUND, OBJECT, LIKELY_... .

    Where seeds know of one side only, the likely pixels decide.
    """
    cv2 = opencv()
    labels = seeds.copy()
    is_object = np.isin(labels, (OBJECT, LIKELY_OBJECT))
    if is_object.all() or not is_object.any():
        return is_object
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(np.ascontiguousarray(colour[..., ::-1]), labels, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (OBJECT, LIKELY_OBJECT))
