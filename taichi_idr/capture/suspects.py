"""What may be wrong with cameras: each mistake that people make, undone, to see whether the masks then agree.

A capture that contradicts itself does so for a reason. Each suspect knows how cameras look that were written with one
mistake, and makes of them what they should have been; the mistake is named where that makes the masks agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..cameras.pinhole import shrunk, transform_cameras
from ..cameras.rotations import quaternions_from_rotations, rotation_matrices
from ..errors import BadInput
from ..types import Cameras
from .hulls import Silhouettes, sampled
from .normalise import find_object
from .order import beside_hull

PROVEN, BETTER = 0.03, 3.0
"""Mean share of object pixels beside the hull at most, and at least this many times less than before, for a mistake to
be proven by undoing it."""
ANOTHER_SIZE, EQUAL = 0.03, 0.12
AS_GOOD = 0.005  # within this of the best, the first is taken
NEAR = np.linspace(0.94, 1.06, 7)
"""A principal point that is off the photo's middle by about one factor in x and y and all views, more than the first
from 1 and within the second of each other, may be that of photos of another size; factors tried, since it need not
be in the middle."""


@dataclass(frozen=True)
class Suspect:
    """A mistake: in words, what to do, and what undoes it."""

    what: str
    why: str
    todo: str
    mended: Callable[[Cameras], Cameras]


def explained(views: Silhouettes, cameras: Cameras, *, reflected: bool, before: float) -> BadInput | None:
    """The error that names what is wrong with cameras (V, world frame), None where no suspect explains it.

    reflected: whether the file's matrices turn right hands into left ones. before: mean share of object pixels beside
    the hull of the cameras as they are, 1 where they have none.
    """
    sizes = _other_sizes(cameras, [mask.shape for mask in views.masks])
    for alternatives in [sizes, *([suspect] for suspect in _mistakes(reflected=reflected))]:
        if not alternatives:
            continue
        lefts = [_left(views, suspect.mended(cameras)) for suspect in alternatives]
        left = min(lefts)
        suspect = next(one for one, its in zip(alternatives, lefts, strict=True) if its <= left + AS_GOOD)
        if left < PROVEN and left * BETTER < before:
            why = f"{suspect.why}: with that undone the masks agree"
            return BadInput(suspect.what, where=f"{len(views)} views", why=why, todo=suspect.todo)
    return None


def another_size(cameras: Cameras, shapes: Sequence[tuple[int, ...]]) -> float:
    """How many times as large as these photos (rows, columns) those are that the intrinsics are for; 1 where nothing
    says that they are of another size."""
    K = cameras.intrinsics.numpy()
    sizes = np.array([[columns, rows] for rows, columns in shapes])
    factors = (K[:, :2, 2] + 0.5) / (sizes / 2)
    middle = float(factors.mean(axis=1).mean())
    if not middle > 0 or abs(factors / middle - 1).max() > EQUAL:
        return 1.0
    return middle if abs(middle - 1) > ANOTHER_SIZE else 1.0


def _left(views: Silhouettes, cameras: Cameras) -> float:
    """Mean share of object pixels beside the hull; 1 where there is no hull."""
    try:
        T = find_object(views, cameras)
    except BadInput:
        return 1.0
    in_frame = transform_cameras(np.linalg.inv(T), cameras)
    return float(beside_hull(views, in_frame, sampled(views)).mean())


def _other_sizes(cameras: Cameras, shapes: Sequence[tuple[int, ...]]) -> list[Suspect]:
    """Photos of sizes about that which the principal points tell, of round ratios to these where one is near."""
    factor = another_size(cameras, shapes)
    if factor == 1:
        return []
    ratios = sorted({round(part / whole, 6) for part in range(1, 9) for whole in range(1, 5)})
    round_ones = [ratio for ratio in ratios if abs(ratio / factor - 1) < EQUAL / 2 and ratio != 1]
    return [_other_size(shapes[0], near) for near in [*round_ones, *(factor * NEAR)]]


def _other_size(shape: tuple[int, ...], factor: float) -> Suspect:
    rows, columns = shape
    size = f"{round(columns * factor)}x{round(rows * factor)}"
    why = f"the intrinsics are for photos of about {size}, these have {columns}x{rows}"
    todo = f"multiply the first two rows of the matrices by {1 / factor:.4g}, or use the photos that they are for"
    return Suspect("photos of another size", why, todo, lambda cameras: shrunk(cameras, factor))


def _mistakes(*, reflected: bool) -> Iterator[Suspect]:
    if reflected:
        todo = "write them with positive focal lengths"
        yield Suspect("mirrored cameras", "focal lengths are negative in x", todo, _flipped)
        yield Suspect("mirrored cameras", "focal lengths are negative in y", todo, lambda c: _flipped(c, (-1, 1, -1)))
        todo = "negate one axis of the world in poses and scale_mat"
        yield Suspect("left-handed world", "the world's axes are left-handed", todo, _unreflected)
    else:
        todo = "negate the second and third row of [R | t]: OpenCV's axes are x right, y down, z forward"
        yield Suspect("wrong camera axes", "cameras have OpenGL's axes (y up, z backward)", todo, _flipped)
        why, todo = "photos are upside down for their cameras", "turn the photos, or negate both focal lengths"
        yield Suspect("turned photos", why, todo, lambda c: _flipped(c, (-1, -1, 1)))
    todo = "invert the poses: matrices map world to camera"
    yield Suspect("inverse poses", "poses map camera to world", todo, _inverted)
    todo = "invert the poses, then negate the second and third row: matrices map world to camera, y down, z forward"
    both = "poses map camera to world, with OpenGL's axes (y up, z backward)"
    yield Suspect("inverse poses", both, todo, lambda c: _flipped(_inverted(c)))


def _flipped(cameras: Cameras, signs: tuple[int, int, int] = (1, -1, -1)) -> Cameras:
    """Two of the cameras' axes negated."""
    turn = torch.diag(torch.tensor(signs, dtype=torch.float64))
    return _turned(cameras, rotation_matrices(cameras.quaternions) @ turn, cameras.centres)


def _inverted(cameras: Cameras) -> Cameras:
    """What was taken for world -> camera was camera -> world."""
    R = rotation_matrices(cameras.quaternions).transpose(1, 2)  # world -> camera, as read
    return _turned(cameras, R, -(R @ cameras.centres[:, :, None])[:, :, 0])


def _unreflected(cameras: Cameras) -> Cameras:
    """Of matrices K [R | t] S with a mirror S of the world, which were read as -R S: R in a world without S."""
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    return _turned(cameras, -mirror @ rotation_matrices(cameras.quaternions), cameras.centres @ mirror)


def _turned(cameras: Cameras, rotations: torch.Tensor, centres: torch.Tensor) -> Cameras:
    return Cameras(quaternions_from_rotations(rotations), centres, cameras.intrinsics)
