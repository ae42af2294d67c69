"""The frame of a capture: the file's or one that is found; and where neither holds, what is wrong with it."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import binary_dilation

from ..cameras.pinhole import every_nth_pixel, transform_cameras
from ..errors import BadInput
from ..types import Cameras
from .disagreement import check_agreement
from .formats.source import CameraFile
from .frame import check_frame, refuse_one_place
from .hulls import COARSE, Silhouettes, agreement, looked_at, missed, object_rays, sampled
from .normalise import find_object, first_guess
from .order import SUSPICIOUS, wrong_order
from .suspects import another_size, explained

INEXACT = 0.04
"""Median of the views' shares of object pixels beside the hull above which cameras are suspected; poses that are off by
half a degree have 0.01, by 1.5 degrees 0.01 to 0.1 (8 to 49 views)."""
FINE = 128  # lattice points along each axis of a hull that may be thin


def settle_frame(
    views: Silhouettes, cameras: Cameras, file: CameraFile, warnings: list[str]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """T_world_normalised (4, 4), and pixels (V of (H, W) bool, or none) that show what of the object leaves the file's
    unit sphere.

    cameras: V, world frame. Adds to warnings. Raises BadInput, with the cause where one can be proven.
    """
    every = views.stride
    thin, thinned = views.thinned(every), every_nth_pixel(cameras, every)
    try:
        T, beyond = _placed(thin, thinned, file, warnings)
        thin = thin.without(beyond)
        in_frame = transform_cameras(np.linalg.inv(T), thinned)
        hull = thin.hull(in_frame, COARSE)
        shares = agreement(hull.cpu().numpy(), object_rays(thin.masks, in_frame), len(thin))
        warnings += check_agreement(shares, thin.names)
    except BadInput as general:
        raise _cause(thin, thinned, file) or general from general
    _check_consistency(thin, thinned, in_frame, hull, file, warnings)
    pairs = zip(beyond, views.masks, strict=bool(beyond))
    return T, [mask & _enlarged(pixels, every, mask.shape) for pixels, mask in pairs]


def _placed(
    views: Silhouettes, cameras: Cameras, file: CameraFile, warnings: list[str]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """T_world_normalised, and pixels that show what leaves the unit sphere, which are not object pixels from now on."""
    if file.T_world_normalised is None:
        T = find_object(views, cameras)
        refuse_one_place(transform_cameras(np.linalg.inv(T), cameras), np.zeros(3))
        return T, []
    said, beyond = check_frame(views, transform_cameras(np.linalg.inv(file.T_world_normalised), cameras))
    warnings += said
    return file.T_world_normalised, beyond


def _check_consistency(
    views: Silhouettes, cameras: Cameras, in_frame: Cameras, hull: torch.Tensor, file: CameraFile, warnings: list[str]
) -> None:
    """Raises BadInput where undoing a mistake, or another order of the masks, makes the views agree much better."""
    samples = sampled(views)
    beside = missed(samples, looked_at(hull, in_frame, samples.places))
    middle = float(np.median(beside))
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


def _enlarged(pixels: np.ndarray, every: int, shape: tuple[int, ...]) -> np.ndarray:
    """As many pixels again around every one that was kept."""
    return pixels.repeat(every, axis=0).repeat(every, axis=1)[: shape[0], : shape[1]]


def _beside_fine_hull(views: Silhouettes, cameras: Cameras) -> float:
    """Median share of object pixels beside a hull of small cells, grown by one: thin parts are in it."""
    grown = torch.from_numpy(binary_dilation(views.hull(cameras, FINE).cpu().numpy()))
    samples = sampled(views)
    return float(np.median(missed(samples, looked_at(grown, cameras, samples.places))))
