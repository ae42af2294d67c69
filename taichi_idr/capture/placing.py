"""The frame of a capture: the file's or one that is found; and where neither holds, what is wrong with it."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import binary_dilation

from ..cameras.pinhole import transform_cameras
from ..errors import BadInput
from ..types import Cameras
from .disagreement import check_agreement
from .formats.source import CameraFile
from .frame import check_frame, refuse_one_place
from .hulls import COARSE, Silhouettes, agreement, looked_at, missed, object_rays, sampled
from .ignored import joined
from .normalise import find_object, first_guess
from .order import SUSPICIOUS, beside_hull, wrong_order
from .suspects import another_size, explained

INEXACT = 0.04
"""Median of the views' shares of object pixels beside the hull above which cameras are suspected; poses that are off by
half a degree have 0.01, by 1.5 degrees 0.01 to 0.1 (8 to 49 views)."""
FINE = 128  # lattice points along each axis of a hull that may be thin


def settle_frame(
    views: Silhouettes, cameras: Cameras, file: CameraFile, warnings: list[str]
) -> tuple[np.ndarray, tuple[np.ndarray | None, ...]]:
    """T_world_normalised (4, 4) and the `ignored` of a Capture, more where the object leaves the file's unit sphere.

    cameras: V, world frame. Adds to warnings. Raises BadInput, with the cause where one can be proven.
    """
    try:
        T, ignored, beside = _settled(views, cameras, file, warnings)
    except BadInput as general:
        raise _cause(views, cameras, file) or general from general
    in_frame, middle = transform_cameras(np.linalg.inv(T), cameras), float(np.median(beside))
    inexact = middle > INEXACT and _beside_fine_hull(views, in_frame) > INEXACT
    if inexact or another_size(cameras, [mask.shape for mask in views.masks]) != 1:
        mistake = explained(views, cameras, reflected=file.reflected, before=float(beside.mean()))
        if mistake is not None:
            raise mistake
    if beside.mean() > SUSPICIOUS and (displaced := wrong_order(views, in_frame)):
        raise displaced
    if inexact:
        text = f"{100 * middle:.0f} % of the object's pixels lie where other masks show none"
        warnings.append(f"{text}: masks or cameras are inexact; --cameras train moves cameras")
    return T, ignored


def _settled(
    views: Silhouettes, cameras: Cameras, file: CameraFile, warnings: list[str]
) -> tuple[np.ndarray, tuple[np.ndarray | None, ...], np.ndarray]:
    """T_world_normalised, ignored pixels, and the share (V,) of each view's object pixels beside the hull."""
    ignored, T = views.ignored, file.T_world_normalised
    if T is None:
        T = find_object(views, cameras)
        in_frame = transform_cameras(np.linalg.inv(T), cameras)
        refuse_one_place(in_frame, np.zeros(3))
    else:
        in_frame = transform_cameras(np.linalg.inv(T), cameras)
        said, beyond = check_frame(views, in_frame)
        warnings += said
        ignored = joined(ignored, beyond)
        for mask, pixels in zip(views.masks, beyond, strict=bool(beyond)):
            mask &= ~pixels
    views = Silhouettes(views.masks, views.names, ignored)
    hull = views.hull(in_frame, COARSE).cpu().numpy()
    warnings += check_agreement(agreement(hull, object_rays(views.masks, in_frame), len(views)), views.names)
    return T, ignored, beside_hull(views, in_frame, sampled(views))


def _cause(views: Silhouettes, cameras: Cameras, file: CameraFile) -> BadInput | None:
    """Why views do not agree: a mistake in all cameras, or masks in another order."""
    mistake = explained(views, cameras, reflected=file.reflected, before=1.0)
    if mistake is not None:
        return mistake
    try:
        guess = first_guess(views, cameras)
    except BadInput:
        return None
    return wrong_order(views, transform_cameras(np.linalg.inv(guess), cameras))


def _beside_fine_hull(views: Silhouettes, cameras: Cameras) -> float:
    """Median share of object pixels beside a hull of small cells, grown by one: thin parts are in it."""
    grown = torch.from_numpy(binary_dilation(views.hull(cameras, FINE).cpu().numpy()))
    samples = sampled(views)
    return float(np.median(missed(samples, looked_at(grown, cameras, samples.places))))
