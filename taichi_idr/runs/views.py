"""The photos of a run's capture beside the run's cameras, in the run's normalised frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..cameras.paths import orbit
from ..cameras.pinhole import shrunk
from ..capture.formats.catalogue import HELDOUT, find_capture, find_heldout
from ..capture.formats.source import FoundView
from ..capture.reading import read_capture, stored_views
from ..errors import InputMissing
from ..methods.catalogue import method_of
from ..methods.method import Need
from ..pictures.colours import picture_shape, resizer
from ..types import Cameras, Capture, CaptureReading
from .folder import RunFolder
from .loading import LoadedRun
from .masks import read_refined

Views = Literal["training", "heldout", "orbit"]


@dataclass(frozen=True)
class RunViews:
    """`capture` as read from disk; `cameras` float64, camera -> normalised frame of the run, one for each
    photo. refined: whether the masks are not those on disk, but as the fit has refined them."""

    capture: Capture
    cameras: Cameras
    refined: bool = False

    def __len__(self) -> int:
        return len(self.capture)

    def subset(self, indices: list[int]) -> RunViews:
        whole = self.capture
        images, masks, names = ([part[i] for i in indices] for part in (whole.images, whole.masks, whole.names))
        files, ignored = (tuple(part[i] for i in indices if part) for part in (whole.files, whole.ignored))
        parts = {"images": images, "masks": masks, "names": names, "files": files, "ignored": ignored}
        capture = replace(whole, **parts, cameras=whole.cameras[indices])
        return RunViews(capture, self.cameras[indices], self.refined)


def training_views(loaded: LoadedRun, *, downscale: int | None = None) -> RunViews:
    """The photos that the run was fitted to, with masks as it has refined them; `downscale` as in the fit by default.

    Raises InputMissing where the capture has gone, BadInput where it has changed.
    """
    factor, reading = downscale or loaded.config.downscale, _reading(loaded)
    gone = reading.cameras_file != loaded.reading.cameras_file
    more = {"T_world_normalised": loaded.T_world_normalised} if gone else {}
    capture = _read(loaded, loaded.capture_folder, factor, reading, **more)
    _check_count(loaded, len(capture))
    refined = read_refined(RunFolder(loaded.run).masks, capture.names, [mask.shape for mask in capture.masks])
    capture = replace(capture, masks=refined or capture.masks)
    return RunViews(capture, shrunk(loaded.cameras, factor / loaded.config.downscale), refined is not None)


def stored_photos(loaded: LoadedRun) -> tuple[list[FoundView], Cameras]:
    """The photos that the run was fitted to, as they are stored, with their lenses; and the run's cameras for them,
    straightened and of full size, float64, camera -> normalised frame.

    Raises InputMissing where the capture has gone, BadInput where it has changed.
    """
    reading = _reading(loaded)
    views = stored_views(find_capture(loaded.capture_folder, reading, need_masks=_need_masks(loaded)), reading)
    _check_count(loaded, len(views))
    return views, shrunk(loaded.cameras, 1 / loaded.config.downscale)


def heldout_views(
    loaded: LoadedRun, *, downscale: int | None = None, T_capture_run: np.ndarray | None = None
) -> RunViews | None:
    """The photos that no fit has seen, in `heldout/` or of a Blender scene's other files; None where there are none.

    T_capture_run: (4, 4) similarity from the run's world frame to that of these photos, where they differ
    (CAM-9).
    """
    folder, reading = loaded.capture_folder, replace(loaded.reading, cameras_file=None, ignore=None, silhouettes=None)
    need_masks = _need_masks(loaded) and not method_of(loaded.config).cuts_masks
    layout = find_heldout(folder, reading, need_masks=need_masks)
    if layout is None:
        return None
    T = (np.eye(4) if T_capture_run is None else T_capture_run) @ loaded.T_world_normalised
    factor = downscale or loaded.config.downscale
    capture = _read(loaded, folder, factor, reading, T_world_normalised=T, layout=layout)
    return RunViews(capture, capture.cameras)


def evenly(count: int, most: int | None) -> list[int]:
    """At most that many of the first `count` numbers, evenly over all of them."""
    chosen = count if most is None else min(count, most)
    return [int((k + 0.5) * count / chosen) for k in range(chosen)]


def wanted_pictures(
    loaded: LoadedRun, views: Views, *, frames: int, size: int | None, downscale: int
) -> Iterator[tuple[str, Cameras, tuple[int, int]]]:
    """Name, camera (one) and height, width of the pictures of all training views, all held-out ones, or an orbit.

    size: longer side in pixels, by default the photos' at the run's downscale; downscale: shrinks further. Raises
    InputMissing without held-out photos.
    """
    resized = resizer(size, downscale)
    if views == "orbit":
        shape = picture_shape(loaded.cameras, size, downscale)
        cameras = orbit(loaded.cameras, frames=frames, size=shape)
        for frame in range(frames):
            yield f"{frame:04d}", cameras[[frame]], shape
        return
    chosen = training_views(loaded) if views == "training" else heldout_views(loaded)
    if chosen is None:
        where = loaded.capture_folder / HELDOUT
        raise InputMissing("no held-out photos", where=where, todo="render --views training or orbit")
    for index, name in enumerate(chosen.capture.names):
        camera, shape = resized(chosen.cameras[[index]], chosen.capture.masks[index].shape)
        yield name, camera, shape


def _reading(loaded: LoadedRun) -> CaptureReading:
    """How the capture can still be read: of a camera file that has gone the run knows all that is needed."""
    file = loaded.reading.cameras_file
    gone = file and not (loaded.capture_folder / file).is_file()
    return replace(loaded.reading, cameras_file=None) if gone else loaded.reading


def _check_count(loaded: LoadedRun, photos: int) -> None:
    if photos != len(loaded.cameras):
        why = f"it has {photos} photos, the run knows {len(loaded.cameras)}"
        raise InputMissing("capture has changed", where=loaded.capture_folder, why=why, todo="fit again")


def _read(loaded: LoadedRun, folder: Path, factor: int, reading: CaptureReading, **more: Any) -> Capture:
    return read_capture(folder, reading, downscale=factor, need_masks=_need_masks(loaded), **more)


def _need_masks(loaded: LoadedRun) -> bool:
    return Need.MASKS in method_of(loaded.config).needs
