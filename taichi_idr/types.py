"""Records that travel between modules. Frames are named as in docs/conventions.md.

*World* is the capture's own frame and unit; *normalised* is the frame in which the object lies inside the unit
sphere (x_world = T_world_normalised x_normalised); *camera* has OpenCV axes (x right, y down, z forward).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # records are made before torch is needed, which takes seconds to import
    import numpy as np
    import torch
    from torch import Tensor

Sdf = Callable[["Tensor"], "Tensor"]
"""Signed distance, negative inside: points (N, 3) in the normalised frame -> values (N,)."""
MAX_PIXELS = 100_000_000  # of a photo, unless more are allowed
READING_VERSION = 1  # of a CaptureReading's record
DepthSource = Literal["maps", "points", "off"]
"""What depth is read of a capture: maps of its `depth/`; where it has none, points of structure from motion; none."""


class HitStatus(IntEnum):
    """How the search along one ray ended."""

    OUTSIDE = 0
    MISSED = 1
    BRACKETED = 2
    CONVERGED = 3

    @property
    def sentence(self) -> str:
        return _STATUS_SENTENCES[self]


_STATUS_SENTENCES = {
    HitStatus.OUTSIDE: "the ray does not meet the bounding sphere",
    HitStatus.MISSED: "no change of sign was found along the ray",
    HitStatus.BRACKETED: "the surface is enclosed, but the value at the reported depth is above the tolerance",
    HitStatus.CONVERGED: "the value at the reported depth is within the tolerance",
}


@dataclass(frozen=True)
class Rays:
    """`origins` (R, 3) and unit `directions` (R, 3), both in the normalised frame."""

    origins: Tensor
    directions: Tensor

    def __len__(self) -> int:
        return self.origins.shape[0]

    def __getitem__(self, index: Tensor | slice) -> Rays:
        return Rays(self.origins[index], self.directions[index])

    def detach(self) -> Rays:
        return Rays(self.origins.detach(), self.directions.detach())

    def leaves(self) -> Rays:
        """The same rays, that collect gradients of their own."""
        return Rays(self.origins.detach().requires_grad_(), self.directions.detach().requires_grad_())

    def at(self, depth: Tensor) -> Tensor:
        """Points (R, 3) at `depth` (R,)."""
        return self.origins + depth[:, None] * self.directions


@dataclass(frozen=True)
class Hits:
    """Result of tracing R rays.

    depth: (R,) distance along the unit ray to the first surface point; meaningless where `hit` is false.
    search_depth: (R,) where f is least on the searched interval: the point of the mask loss (TRACE-9, 13, 14).
    status: (R,) int32 of HitStatus.
    search_value: (R,) about what f is at search_depth, from the tracer that knows it without asking the field.
    """

    depth: Tensor
    search_depth: Tensor
    status: Tensor
    search_value: Tensor | None = None

    @property
    def hit(self) -> Tensor:
        return self.status >= int(HitStatus.BRACKETED)


@dataclass(frozen=True)
class Cameras:
    """V pinhole cameras.

    quaternions: (V, 4) w x y z, rotate camera to normalised (or world) axes.
    centres: (V, 3) camera centres in that frame.
    intrinsics: (V, 3, 3) K with positive diagonal and K[2, 2] = 1, pixel units, integer coordinates = pixel centres;
    skew kept.
    """

    quaternions: Tensor
    centres: Tensor
    intrinsics: Tensor

    def __len__(self) -> int:
        return self.quaternions.shape[0]

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> Cameras:
        move = {"dtype": dtype, "device": device}
        return Cameras(self.quaternions.to(**move), self.centres.to(**move), self.intrinsics.to(**move))

    def __getitem__(self, index: Tensor | slice | list[int]) -> Cameras:
        return Cameras(self.quaternions[index], self.centres[index], self.intrinsics[index])


@dataclass(frozen=True)
class CaptureReading:
    """How a capture is read, as a run keeps it: whoever reads the photos of a run again reads them in this way.

    normalize: the object is found from the masks, whatever scale_mat says. invert_masks: black is the object.
    resize_masks: masks of another size are accepted. cameras_file: of other poses than the usual file's, a path from
    the capture's folder. allow_outside: photos and masks may be links out of that folder. ignore: folder of pictures of
    what no loss may use, likewise; the capture's own by default. silhouettes: folder of masks, likewise, instead of the
    capture's own, with what else was found of the photos. max_pixels: of one photo, at most; all of them together,
    shrunk as asked, may have a dozen times as many.
    """

    normalize: bool = False
    invert_masks: bool = False
    resize_masks: bool = False
    cameras_file: str | None = None
    allow_outside: bool = False
    ignore: str | None = None
    silhouettes: str | None = None
    max_pixels: int = MAX_PIXELS

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {"version": READING_VERSION, **asdict(self)}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> CaptureReading:
        """The reverse of `record`; one without a version is of the first. Raises ValueError for one from the future,
        TypeError for one with other fields."""
        fields = {"allow_outside": True, **record}  # the first did not ask
        version = fields.pop("version", 1)
        if version != READING_VERSION:
            raise ValueError(f"version {version} of a capture's reading, expected {READING_VERSION}")
        reading = cls(**fields)
        for name, usual in asdict(cls()).items():
            value, kinds = fields.get(name, usual), (str, type(None)) if usual is None else (type(usual),)
            if type(value) not in kinds or "\0" in str(value):
                raise TypeError(f"{name} of a capture's reading is {type(value).__name__}")
        return reading


@dataclass(frozen=True)
class Plane:
    """Points x with normal . x = offset, unit normal (3,); what stands on it lies where normal . x is more."""

    normal: np.ndarray
    offset: float

    def height(self, points: np.ndarray) -> np.ndarray:
        """Above the plane, (N,) of points (N, 3)."""
        return points @ self.normal - self.offset

    def moved(self, T_new_old: np.ndarray) -> Plane:
        """In another frame, by a similarity (4, 4)."""
        scaled = T_new_old[:3, :3] @ self.normal
        scale = float(scaled @ scaled) ** 0.5
        return Plane(scaled / scale, scale * self.offset + float(scaled @ T_new_old[:3, 3]) / scale)


@dataclass(frozen=True)
class PhotoFile:
    """A file of a capture's `image/`: its name, and its size in pixels before any shrinking."""

    name: str
    height: int
    width: int


@dataclass(frozen=True)
class Capture:
    """Photos of one object, ready for a fit.

    images: V arrays (H, W, 3) uint8 RGB; masks: V arrays (H, W) bool, True on the object. Sizes may differ by view.
    ignored: V arrays (H, W) bool of pixels that are neither object nor background (False in masks), None for a view
    without any; empty where no view has any.
    cameras: float64, camera -> normalised.
    T_world_normalised: (4, 4) float64 similarity (the file's `scale_mat_0`, or computed).
    names: file stem of each image. warnings: what the reader wants the user to know. files: V, of a capture on disk.
    support: what the object stands on, where that is known; normalised frame. cut: V, whether a mask is as the program
    has cut it, of a photo alone, and may be cut anew; empty where none is. stops: (V, 3), exposures of the photos, EV,
    where they are known. depths: V arrays (H, W) float32 of known distances along the unit ray, normalised units, on
    object pixels, 0 where none is known; None for a view without any, empty where no view has any.
    """

    folder: Path
    names: list[str]
    images: list[np.ndarray]
    masks: list[np.ndarray]
    cameras: Cameras
    T_world_normalised: np.ndarray
    warnings: tuple[str, ...] = ()
    files: tuple[PhotoFile, ...] = ()
    ignored: tuple[np.ndarray | None, ...] = ()
    support: Plane | None = None
    cut: tuple[bool, ...] = ()
    stops: np.ndarray | None = None
    depths: tuple[np.ndarray | None, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def name(self) -> str:
        return self.folder.resolve().name
