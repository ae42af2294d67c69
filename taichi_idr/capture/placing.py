"""The frame of a capture: the file's or one that is found; and where neither holds, what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import binary_dilation

from ..cameras.pinhole import every_nth_pixel, transform_cameras
from ..errors import BadInput
from ..types import Cameras
from .disagreement import check_agreement
from .formats.source import CameraFile
from .frame import check_frame, refuse_one_place
from .hulls import COARSE, Silhouettes, agreement, enlarged, looked_at, missed, object_rays, sampled
from .normalise import find_object, first_guess
from .order import SUSPICIOUS, beside_hull, wrong_order
from .outvoting import Fault, in_words, may_be_exchanged, mended, outvoted
from .suspects import another_size, explained

INEXACT = 0.04
"""Median of the views' shares of object pixels beside the hull above which cameras are suspected; poses that are off by
half a degree have 0.01, by 1.5 degrees 0.01 to 0.1 (8 to 49 views)."""
FLAWLESS = 0.002
"""Mean share of object pixels beside the hull up to which no mistake is looked for, which takes long: principal points
often lie as for photos of another size."""
FINE = 128  # lattice points along each axis of a hull that may be thin


@dataclass(frozen=True)
class Settled:
    """T_world_normalised (4, 4). ignored: V of (H, W) bool, or none, pixels to be ignored: they show what of the object
    leaves the file's unit sphere, or their mask is wrong. inverted: views whose masks are black for white."""

    T_world_normalised: np.ndarray
    ignored: list[np.ndarray]
    inverted: list[int]


def settle_frame(views: Silhouettes, cameras: Cameras, file: CameraFile, warnings: list[str]) -> Settled:
    """Where the object is, and what masks say of it that the others contradict.

    cameras: V, world frame. Adds to warnings. Raises BadInput, with the cause where one can be proven.
    """
    every = views.stride
    thin, thinned = views.thinned(every), every_nth_pixel(cameras, every)
    try:
        T, beyond = _placed(thin, thinned, file, warnings)
        given = thin.without(beyond)
        faults = outvoted(given, transform_cameras(np.linalg.inv(T), thinned))
        sound = mended(given, faults)
        if faults and file.T_world_normalised is None:
            others = np.setdiff1d(np.arange(len(thin)), [fault.view for fault in faults]).tolist()
            T = find_object(given.chosen(others), thinned[others])
        in_frame = transform_cameras(np.linalg.inv(T), thinned)
        shares = agreement(sound.hull(in_frame, COARSE).cpu().numpy(), object_rays(sound.masks, in_frame), len(thin))
        warnings += check_agreement(shares, thin.names, [fault.view for fault in faults])
    except BadInput as general:
        raise _cause(thin, thinned, file) or general from general
    _check_consistency(given if may_be_exchanged(faults) else sound, thinned, in_frame, file, warnings)
    warnings += in_words(faults, thin.names)
    return Settled(T, _ignored(views.masks, beyond, faults, every), [one.view for one in faults if one.inverted])


def _ignored(
    masks: Sequence[np.ndarray], beyond: Sequence[np.ndarray], faults: Sequence[Fault], every: int
) -> list[np.ndarray]:
    """Of V photos, from what was found in thinned ones."""
    if not beyond and not faults:
        return []
    found = [np.zeros(mask.shape, dtype=bool) for mask in masks]
    for mask, pixels, part in zip(masks, found, beyond, strict=False):
        pixels |= mask & enlarged(part, every, mask.shape)
    for fault in faults:
        if not fault.inverted:
            found[fault.view] |= enlarged(fault.pixels, every, masks[fault.view].shape)
    return found


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
    views: Silhouettes, cameras: Cameras, in_frame: Cameras, file: CameraFile, warnings: list[str]
) -> None:
    """Raises BadInput where undoing a mistake, or another order of the masks, makes the views agree much better."""
    samples = sampled(views)
    beside = beside_hull(views, in_frame, samples)
    middle = float(np.median(beside))
    inexact = middle > INEXACT and _beside_fine_hull(views, in_frame) > INEXACT
    odd = float(beside.mean()) > FLAWLESS and another_size(cameras, [mask.shape for mask in views.masks]) != 1
    if inexact or odd:
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


def _beside_fine_hull(views: Silhouettes, cameras: Cameras) -> float:
    """Median share of object pixels beside a hull of small cells, grown by one: thin parts are in it."""
    grown = torch.from_numpy(binary_dilation(views.hull(cameras, FINE).cpu().numpy()))
    samples = sampled(views)
    return float(np.median(missed(samples, looked_at(grown, cameras, samples.places))))
