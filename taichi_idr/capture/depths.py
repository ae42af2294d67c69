"""Depth that is known of photos (DVR-7 of docs/methods.md): maps of `depth/`, or points of structure from motion.

Files have it along the optical axis, in the world's unit, as scanners and stereo write it; a Capture along the unit
ray, in normalised units, as rays are traced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..cameras.pinhole import projections, scale_of
from ..cameras.rotations import rotation_matrices
from ..errors import BadInput
from ..files.npz import read_npy, read_npz
from ..types import Cameras
from .distortion import Straightening
from .fingerprints import DEPTH_SCALE
from .formats.colmap import read_tracks
from .formats.pfm import read_pfm
from .formats.source import Layout, listed
from .formats.strict import number, read_json
from .images import WHOLE_MODES, decode_all, decoded, one_after_other
from .masks import MaskReading

KEY = "depth"  # of an archive of several arrays
HEADER, MOST_BYTES = 4096, 32  # of an array's file, and for each pixel: of four doubles
SCALE_BYTES = 1 << 16
FITTING = 0.5
"""Share of the known depths of object pixels that have to lie in the object's sphere."""
TOLD = 0.9  # share below which it is worth a word
FEWEST_TRACKED = 3  # photos that show a point of structure from motion
_TODO_SCALE = 'write {"unit_per_step": 0.001}, world units in a step of whole numbers, into depth.json beside depth/'
_TODO_FIT = "depth has to be along the optical axis, in the world's unit: unit_per_step of depth.json may be wrong"


@dataclass(frozen=True)
class DepthReading:
    """How maps are read: shrunk by `downscale`; step: world units in a step of whole numbers, where a file says it."""

    downscale: int
    max_pixels: int
    step: float | None


def read_depths(
    layout: Layout,
    folder: Path,
    sizes: Sequence[tuple[int, int]],
    how: MaskReading,
    lenses: Mapping[Path, Straightening],
) -> tuple[np.ndarray | None, ...]:
    """Of each photo (H, W) float32 along the optical axis, world units, 0 where nothing is known; None for one without
    a map; empty without any.

    sizes: width and height of the photos as in their files. lenses: of bent photos. Raises BadInput, naming the file:
    unreadable, of another size, negative, whole numbers without a scale; no depth in any.
    """
    chosen = [view for view, file in enumerate(layout.depths) if file is not None]
    if not chosen:
        return ()
    reading = DepthReading(how.downscale, how.max_pixels, _step(folder))
    files = {file: view for view, file in enumerate(layout.depths) if file is not None}
    shapes = [(sizes[view][1] // how.downscale, sizes[view][0] // how.downscale) for view in chosen]
    places = dict(zip(chosen, one_after_other(shapes, np.float32), strict=True))

    def read(file: Path) -> None:
        view = files[file]
        places[view][:] = _read(file, sizes[view], reading, lenses.get(layout.images[view]))

    decode_all(read, list(files))
    if not any(place.any() for place in places.values()):
        why = "every value of every map is 0, NaN or infinite"
        raise BadInput(
            "no depth", where=layout.depths[chosen[0]], why=why, todo="write what is known, or remove depth/"
        )
    return tuple(places.get(view) for view in range(len(sizes)))


def tracked_depths(
    model: Path, images: Sequence[Path], cameras: Cameras, shapes: Sequence[tuple[int, ...]]
) -> tuple[np.ndarray, ...]:
    """As `read_depths` has it, of points that structure from motion has seen in each photo, 0 between them.

    model: COLMAP's. cameras: V, world frame, for pictures of these shapes (H, W). Raises BadInput.
    """
    points, tracks = read_tracks(model, FEWEST_TRACKED)
    found = []
    for image, P, shape in zip(images, projections(cameras).numpy(), shapes, strict=True):
        name = max((name for name in tracks if image.as_posix().endswith(f"/{name}")), key=len, default="")
        found.append(_drawn(points[tracks.get(name, [])], P, shape))
    if not any(depth.any() for depth in found):
        why = f"no point is seen in {FEWEST_TRACKED} photos"
        raise BadInput("no depth", where=model, why=why, todo="leave out depth.source=points")
    return tuple(found)


def along_rays(
    depths: Sequence[np.ndarray | None],
    masks: Sequence[np.ndarray],
    cameras: Cameras,
    T_world_normalised: np.ndarray,
    names: Sequence[str],
    warnings: list[str],
) -> tuple[np.ndarray | None, ...]:
    """The `depths` of a Capture, of those along the optical axis (which are overwritten), in the world's unit.

    masks: V (H, W) bool. cameras: V, camera -> normalised. Depth beside the object, or of what lies outside of its
    sphere, is not known. Adds to warnings. Raises BadInput where that is most of it: another unit, or other cameras.
    """
    scale, counts = scale_of(T_world_normalised), np.zeros(2)
    ratios, found = [], list[np.ndarray | None]()
    for view, (depth, mask) in enumerate(zip(depths, masks, strict=bool(depths))):
        if depth is None:
            found.append(None)
            continue
        depth *= mask
        row, column = np.nonzero(depth)
        camera = cameras[[view]]
        rays = np.stack([column, row, np.ones_like(row)], axis=1) @ torch.linalg.inv(camera.intrinsics)[0].numpy().T
        along = depth[row, column] / scale * np.linalg.norm(rays, axis=1)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        centre = camera.centres[0].numpy()
        points = centre + along[:, None] * (rays @ rotation_matrices(camera.quaternions)[0].numpy().T)
        inside = np.linalg.norm(points, axis=1) <= 1
        depth[row, column] = np.where(inside, along, 0)
        counts += inside.sum(), len(inside)
        ratios.append(along / np.linalg.norm(centre))
        found.append(depth)
    if depths:
        warnings += _fitting(counts[0], counts[1], np.concatenate(ratios), found, names)
    return tuple(found)


def _fitting(
    inside: float, known: float, ratios: np.ndarray, depths: Sequence[np.ndarray | None], names: Sequence[str]
) -> list[str]:
    """Warnings about depths; ratios (N,): over the distance of the object. Raises BadInput."""
    if not known:
        todo = "check that maps and masks belong to the same photos"
        raise BadInput("no depth", where="depth", why="no pixel of the object has one", todo=todo)
    if inside < FITTING * known:
        why = f"{1 - inside / known:.0%} of it leads past the object, to {np.median(ratios):.3g} times its distance"
        raise BadInput("depth does not fit the cameras", where="depth", why=why, todo=_TODO_FIT)
    empty = [name for name, depth in zip(names, depths, strict=True) if depth is not None and not depth.any()]
    said = [f"depth maps that know nothing of the object ({listed(empty)})"] if empty else []
    if inside < TOLD * known:
        said.append(f"{1 - inside / known:.0%} of the known depth leads past the object, and is not used")
    return said


def _drawn(points: np.ndarray, P: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Depth (H, W) of points (N, 3) at the pixels that they fall on, by a projection (3, 4); the nearest of each."""
    column, row, depth = P[:, :3] @ points.T + P[:, 3:]
    points_before = depth > 0
    column, row = (np.rint(part[points_before] / depth[points_before]) for part in (column, row))
    depth = depth[points_before]
    within = (column >= 0) & (row >= 0) & (column < shape[1]) & (row < shape[0])
    order = np.flatnonzero(within)[np.argsort(-depth[within])]  # the last one written stays
    drawn = np.zeros(shape, np.float32)
    drawn[row[order].astype(int), column[order].astype(int)] = depth[order]
    return drawn


def _step(folder: Path) -> float | None:
    """World units in a step of whole numbers; None where no file says it. Raises BadInput."""
    file = folder / DEPTH_SCALE
    if not file.exists():
        return None
    step = number(read_json(file, "bad scale", _TODO_SCALE, SCALE_BYTES), "unit_per_step", str(file), _TODO_SCALE)
    if step <= 0:
        raise BadInput("bad scale", where=f"{file}: unit_per_step", why=f"{step:g}", todo=_TODO_SCALE)
    return step


def _read(file: Path, size: tuple[int, int], reading: DepthReading, lens: Straightening | None) -> np.ndarray:
    values = _enlarged(_values(file, size, reading), size, file)
    if lens is not None:
        values = lens.nearest(values)
    return middles(values, reading.downscale)


def _values(file: Path, size: tuple[int, int], reading: DepthReading) -> np.ndarray:
    """(h, w) float32, world units, 0 where unknown. Raises BadInput."""
    array = _stored(file, size[0] * size[1] * MOST_BYTES + HEADER, reading.max_pixels).squeeze()
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        why = f"an array {array.shape} of {array.dtype}, expected a number for each pixel"
        raise BadInput("bad depth map", where=file, why=why, todo="write rows and columns of numbers")
    if array.dtype.kind in "iu" and reading.step is None:
        raise BadInput("depth without a unit", where=file, why="it holds whole numbers", todo=_TODO_SCALE)
    negative = int((array < 0).sum())
    if negative:
        todo = "write 0 where it is unknown; it grows away from the camera"
        raise BadInput(
            "negative depth", where=file, why=f"{negative} pixels, {np.nanmin(array):g} the least", todo=todo
        )
    values = array.astype(np.float32)
    if array.dtype.kind in "iu":
        values *= reading.step or 0.0
    return np.where(np.isfinite(values), values, 0)


def _stored(file: Path, most: int, max_pixels: int) -> np.ndarray:
    """The array of a file, as it is there. Raises BadInput."""
    match file.suffix.lower():
        case ".npy":
            return read_npy(file, most)
        case ".npz":
            return _array_of(read_npz(file, most), file)
        case ".pfm":
            return read_pfm(file, most)
    with decoded(file, max_pixels) as image:
        if image.mode != "F" and image.mode not in WHOLE_MODES:
            why = f"pixels of mode {image.mode}, expected 16 bits or float"
            raise BadInput("unsupported depth map", where=file, why=why, todo="write PNG of 16 bits, or NPY")
        return np.array(image)


def _array_of(arrays: Mapping[str, np.ndarray], file: Path) -> np.ndarray:
    if KEY not in arrays and len(arrays) != 1:
        why = f"{len(arrays)} arrays, none of them named {KEY}"
        raise BadInput("bad depth map", where=file, why=why, todo=f"name one of them {KEY}")
    return arrays[KEY] if KEY in arrays else next(iter(arrays.values()))


def _enlarged(values: np.ndarray, size: tuple[int, int], file: Path) -> np.ndarray:
    """To the photo's size, of which it may be a whole fraction: each value where it is, as often as it takes."""
    height, width = values.shape
    factor = size[0] // width
    if factor < 1 or (factor * width, factor * height) != size:
        why = f"{width}x{height} pixels, its photo has {size[0]}x{size[1]}"
        raise BadInput("depth of another size", where=file, why=why, todo="make them equal, or one a whole fraction")
    return values if factor == 1 else values.repeat(factor, axis=0).repeat(factor, axis=1)


def middles(values: np.ndarray, factor: int) -> np.ndarray:
    """Of each block of factor x factor values the middle one of those that are known: a mean may lie on no surface."""
    if factor == 1:
        return values
    rows, columns = (side // factor for side in values.shape)
    blocks = values[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    ordered = np.sort(blocks.swapaxes(1, 2).reshape(rows, columns, -1), axis=2)  # the unknown ones come first
    known = np.count_nonzero(ordered, axis=2)
    place = ordered.shape[2] - 1 - known // 2
    return np.take_along_axis(ordered, place[..., None], axis=2)[..., 0]
