"""Photos shrunk until their objects are of one size, in one channel: what stereo looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .. import runtime
from ..cameras.pinhole import shrunk
from ..capture.depths import middles
from ..capture.masks import object_box
from ..capture.pixels import Photos
from ..ops.patch_consistency import CENTRE, TO_FRAME, PosedPhotos, posed_photos
from ..poses.corners import telling_shades
from ..types import Cameras, Capture, Rays

HALF = 0.5  # share of a small pixel that has to be object


@dataclass(frozen=True)
class SmallPhotos:
    """V photos of one size (H, W) with their cameras, and their N object pixels.

    view (N,) int32; pixel (N, 2) int32 column, row; index (N,): among all V H W pixels.
    known_depth (N,): along the unit ray, 0 where none is known; None of a capture without any.
    """

    capture: Capture
    posed: PosedPhotos
    view: Tensor
    pixel: Tensor
    index: Tensor
    known_depth: Tensor | None

    @property
    def known(self) -> Tensor | None:
        """Inverse depth (N,) that the capture has brought along, 0 where it has none; None without any."""
        if self.known_depth is None:
            return None
        depth = self.known_depth
        return torch.where(depth > 0, self.directions.norm(dim=1) / torch.where(depth > 0, depth, 1), 0)

    @property
    def size(self) -> tuple[int, int]:
        """H, W."""
        return self.capture.masks[0].shape  # pyright: ignore[reportReturnType]

    @property
    def origins(self) -> Tensor:
        """Centre (N, 3) of each object pixel's camera."""
        return self.of_camera(CENTRE)

    @property
    def directions(self) -> Tensor:
        """F (column, row, 1) (N, 3) of the object pixels: one unit deep in the camera."""
        F, pixel = self.of_camera(TO_FRAME, 3), self.pixel
        return F[:, :, 0] * pixel[:, :1] + F[:, :, 1] * pixel[:, 1:] + F[:, :, 2]

    @property
    def pitch(self) -> Tensor:
        """Width (N,) of a pixel at depth 1."""
        return self.posed.cameras[:, TO_FRAME : TO_FRAME + 3, 0].norm(dim=1)[self.view.long()]

    def of_camera(self, row: int, rows: int | None = None) -> Tensor:
        """A row (N, 3) of each object pixel's packed camera, or so many from it on (N, rows, 3)."""
        part = self.posed.cameras[:, row] if rows is None else self.posed.cameras[:, row : row + rows]
        return part.contiguous()[self.view.long()]

    def dense(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """Values (N, ...) of the object pixels as (V H W, ...), `fill` elsewhere."""
        table = values.new_full((len(self.posed.shades), *values.shape[1:]), fill)
        table[self.index] = values
        return table

    def rays(self) -> Rays:
        """Of the object pixels."""
        return Rays(self.origins, torch.nn.functional.normalize(self.directions, dim=1))


def small_photos(capture: Capture, side: int) -> SmallPhotos:
    """Photos averaged over blocks, so that the longer side of each object's box has about `side` pixels, or fewer."""
    sides = [max(span.stop - span.start for span in object_box(mask)) for mask in capture.masks]
    return _posed(_shrunk(capture, [max(1, -(-own // side)) for own in sides]))


def halved(photos: SmallPhotos) -> SmallPhotos:
    """The same photos at half the resolution."""
    return _posed(_shrunk(photos.capture, [2] * len(photos.capture)))


def _posed(capture: Capture) -> SmallPhotos:
    device = runtime.current().device
    photos = Photos(capture, device)
    posed = posed_photos(telling_shades(photos), photos.sizes, capture.cameras)
    index = photos.objects.nonzero()[:, 0]
    height, width = capture.masks[0].shape
    view, row, column = index // (height * width), index // width % height, index % width
    known = None if photos.depths is None else photos.depths[index].to(posed.cameras)
    return SmallPhotos(capture, posed, view.int(), torch.stack([column, row], dim=1).int(), index, known)


def _shrunk(capture: Capture, factors: list[int]) -> Capture:
    """Photos and masks averaged over blocks of factor x factor pixels, on canvases of one size, and their cameras."""
    parts = [_blocks(*triple) for triple in zip(capture.images, capture.masks, factors, strict=True)]
    height, width = (max(mask.shape[axis] for _, mask in parts) for axis in (0, 1))
    images, masks = [], []
    for image, mask in parts:
        room = ((0, height - mask.shape[0]), (0, width - mask.shape[1]))
        images.append(np.pad(image, (*room, (0, 0))))
        masks.append(np.pad(mask, room))
    one_by_one = [shrunk(capture.cameras[[view]], factor) for view, factor in enumerate(factors)]
    fields = ("quaternions", "centres", "intrinsics")
    cameras = Cameras(*(torch.cat([getattr(camera, name) for camera in one_by_one]) for name in fields))
    depths = tuple(_small_depth(*pair, (height, width)) for pair in zip(capture.depths, factors, strict=False))
    return replace(capture, images=images, masks=masks, cameras=cameras, ignored=(), depths=depths)


def _small_depth(depth: np.ndarray | None, factor: int, shape: tuple[int, int]) -> np.ndarray | None:
    """The middle known value of each block, on a canvas of that shape."""
    if depth is None:
        return None
    canvas = np.zeros((factor * shape[0], factor * shape[1]), np.float32)
    canvas[: depth.shape[0], : depth.shape[1]] = depth
    return middles(canvas, factor)


def _blocks(image: np.ndarray, mask: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of an image (H, W, 3) over the object's pixels of each block, and which blocks are mostly object."""
    shown = torch.from_numpy(np.ascontiguousarray(mask)).float()[None]
    colours = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() * shown
    pooled = torch.nn.functional.avg_pool2d(torch.cat([colours, shown])[None], factor, ceil_mode=True)[0]
    mean = (pooled[:3] / pooled[3].clamp(min=1e-6)).round().byte()
    return mean.permute(1, 2, 0).contiguous().numpy(), (pooled[3] >= HALF).numpy()
