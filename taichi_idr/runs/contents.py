"""Names of what lies in a checkpoint beside a trainer's state: the frame and its cameras, settings, capture, course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import FitConfig
from ..types import Cameras, Capture, CaptureReading
from ..version import __version__

HISTORY = "history"
"""Part that holds the poses of the logged steps, where they were trained."""
_T_WORLD = "T_world_normalised"
_COLUMNS = ("quaternions", "centres", "intrinsics")


@dataclass(frozen=True)
class Frame:
    """cameras: float64, camera -> normalised. T_world_normalised: (4, 4) float64."""

    cameras: Cameras
    T_world_normalised: np.ndarray

    def tensors(self) -> dict[str, Tensor]:
        """By their names in a checkpoint."""
        columns = {f"cameras.{name}": getattr(self.cameras, name) for name in _COLUMNS}
        return {**columns, _T_WORLD: torch.from_numpy(np.ascontiguousarray(self.T_world_normalised))}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Frame:
        """The reverse of `tensors`. Raises KeyError."""
        return cls(Cameras(*(tensors[f"cameras.{name}"] for name in _COLUMNS)), tensors[_T_WORLD].numpy())


@dataclass(frozen=True)
class Origin:
    """What makes a capture the same: its folder, how it was read, and the names and sizes of its photos (none of a run
    that no fit can go on with)."""

    folder: Path
    reading: CaptureReading
    names: tuple[str, ...] = ()
    sizes: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, capture: Capture, reading: CaptureReading) -> Origin:
        sizes = tuple(mask.shape for mask in capture.masks)
        return cls(capture.folder.resolve(), reading, tuple(capture.names), sizes)

    def record(self) -> dict[str, Any]:
        """By its names in a checkpoint."""
        whole = {"names": list(self.names), "sizes": [list(size) for size in self.sizes]}
        return {"capture": str(self.folder), "reading": self.reading.record(), **(whole if self.names else {})}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Origin:
        """The reverse of `record`. Raises KeyError, TypeError, ValueError."""
        sizes = tuple(tuple(size) for size in record.get("sizes", ()))
        reading = CaptureReading.of_record(record["reading"])
        return cls(Path(record["capture"]), reading, tuple(record.get("names", ())), sizes)


def metadata(config: FitConfig, origin: Origin, *, seconds: float = 0.0, best: float | None = None) -> dict[str, Any]:
    """Of a checkpoint: version, settings, capture, seconds of all sessions, the best mean PSNR so far."""
    course = {"version": __version__, "seconds": seconds, "best_psnr_db": best}
    return {"config": config.model_dump(), **course, **origin.record()}
