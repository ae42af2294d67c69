"""Names of what lies in a checkpoint beside a trainer's state: the frame and its cameras, settings, capture, course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
COURSE = "course"
"""Part that holds the error over the fit's course."""
EXPOSURES = "exposures"
"""Tensor (V, 3) of the photos' exposures, EV, where they were fitted."""
_CONFIG = "config"
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
    """What makes a capture the same: its folder, how it was read, the names and sizes of its photos (none of a run that
    no fit can go on with), and fingerprints of its files by name (none of runs of older versions)."""

    folder: Path
    reading: CaptureReading
    names: tuple[str, ...] = ()
    sizes: tuple[tuple[int, ...], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, capture: Capture, reading: CaptureReading, files: Mapping[str, str]) -> Origin:
        sizes = tuple(mask.shape for mask in capture.masks)
        return cls(capture.folder.resolve(), reading, tuple(capture.names), sizes, files)

    def changed(self, now: Origin) -> list[str]:
        """Names of files that are not as they were, as far as both know."""
        known = self.files and now.files
        names = sorted({*self.files, *now.files}) if known else []
        return [name for name in names if self.files.get(name) != now.files.get(name)]

    def record(self) -> dict[str, Any]:
        """By its names in a checkpoint."""
        sizes = [list(size) for size in self.sizes]
        whole = {"names": list(self.names), "sizes": sizes, "files": dict(self.files)}
        return {"capture": str(self.folder), "reading": self.reading.record(), **(whole if self.names else {})}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Origin:
        """The reverse of `record`. Raises KeyError, TypeError, ValueError."""
        sizes = tuple(tuple(size) for size in record.get("sizes", ()))
        reading = CaptureReading.of_record(record["reading"])
        return cls(Path(record["capture"]), reading, tuple(record.get("names", ())), sizes, record.get("files", {}))


@dataclass(frozen=True)
class Course:
    """How a fit has gone: seconds of all sessions, the best mean PSNR so far (None before the first), the step
    at which a fit ends whose steps were not given, once it is known, and the PSNR when it last went on."""

    seconds: float = 0.0
    best_psnr_db: float | None = None
    planned_steps: int | None = None
    before_db: float | None = None

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Course:
        """From a checkpoint's metadata. Raises KeyError."""
        later = (record.get("planned_steps"), record.get("before_db"))
        return cls(record["seconds"], record["best_psnr_db"], *later)


def metadata(config: FitConfig, origin: Origin, course: Course) -> dict[str, Any]:
    """Of a checkpoint: version, settings, capture and course."""
    return {_CONFIG: config.model_dump(), "version": __version__, **asdict(course), **origin.record()}


def settings_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of settings in a checkpoint's metadata. Raises KeyError."""
    return record[_CONFIG]
