"""Names of what lies in a checkpoint beside a trainer's state: the frame and its cameras, settings, capture, course."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..cameras.pinhole import is_similarity
from ..config import FitConfig
from ..types import Cameras, Capture, CaptureReading
from ..version import __version__
from .checkpoint import MODEL, Checkpoint

HISTORY = "history"
"""Part that holds the poses of the logged steps, where they were trained."""
COURSE = "course"
"""Part that holds the error over the fit's course."""
EXPOSURES = "exposures"
"""Tensor (V, 3) of the photos' exposures, EV, where they were fitted."""
MODEL_PARTS = (MODEL, "lattice")
"""What the names of a model's tensors begin with."""
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
        """The reverse of `tensors`. Raises KeyError; ValueError where these are no cameras, or no frame."""
        columns, T = [tensors[f"cameras.{name}"] for name in _COLUMNS], tensors[_T_WORLD]
        views = len(columns[0]) if columns[0].ndim else 0
        for tensor, shape in zip((*columns, T), ((views, 4), (views, 3), (views, 3, 3), (4, 4)), strict=True):
            if tensor.shape != shape or not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
                raise ValueError(f"expected finite numbers {shape}, got {tensor.dtype} {tuple(tensor.shape)}")
        focal = columns[2].diagonal(dim1=1, dim2=2)
        if not bool((columns[0].norm(dim=1) > 0).all() and (focal > 0).all() and is_similarity(T.numpy())):
            raise ValueError("a camera without direction or focal length, or a frame that is no similarity")
        return cls(Cameras(*columns), T.numpy())


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
        names, files, folder = tuple(record.get("names", ())), record.get("files", {}), record["capture"]
        _expect(dict, files)
        _expect(str, folder, *names, *files.keys(), *files.values())
        _expect(int, *(side for size in sizes for side in size))
        if "\0" in folder or len(sizes) != len(names) or any(len(size) != 2 or min(size) < 1 for size in sizes):
            raise ValueError("a path, or names and sizes of photos, that cannot be")
        return cls(Path(folder), CaptureReading.of_record(record["reading"]), names, sizes, files)


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
        """From a checkpoint's metadata. Raises KeyError, TypeError, ValueError."""
        seconds, best = record["seconds"], record["best_psnr_db"]
        planned, before = record.get("planned_steps"), record.get("before_db")
        for number in (seconds, best, before):
            if number is not None and not math.isfinite(number):
                raise ValueError("a number that is not finite")
        _expect(int, *([] if planned is None else [planned]))
        if planned is not None and not 0 < planned < 10**12:
            raise ValueError(f"{planned} steps are planned")
        return cls(float(seconds), best, planned, before)


def read_contents(checkpoint: Checkpoint) -> tuple[Frame, Origin]:
    """Raises KeyError, TypeError, ValueError where they are not in it, or contradict each other."""
    frame, origin = Frame.of_tensors(checkpoint.tensors), Origin.of_record(checkpoint.metadata)
    if len(origin.names) not in (0, len(frame.cameras)):
        raise ValueError(f"{len(frame.cameras)} cameras of {len(origin.names)} photos")
    return frame, origin


def metadata(config: FitConfig, origin: Origin, course: Course) -> dict[str, Any]:
    """Of a checkpoint: version, settings, capture and course."""
    return {_CONFIG: config.model_dump(), "version": __version__, **asdict(course), **origin.record()}


def settings_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of settings in a checkpoint's metadata. Raises KeyError, TypeError."""
    _expect(dict, record[_CONFIG])
    return record[_CONFIG]


def _expect(kind: type, *values: Any) -> None:
    """Raises TypeError where a value is of another kind."""
    for value in values:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
