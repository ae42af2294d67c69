"""taichi-idr: photos, silhouettes and cameras of one object become a watertight coloured mesh.

`from taichi_idr import fit_capture, load_run, mesh_run, render_view, trace`: each name is imported when first asked
for, because torch and Taichi take seconds.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .capture.reading import read_capture as read_capture
    from .capture.synthetic import make_capture as make_capture
    from .commands.check import check_capture as check_capture
    from .commands.convert import convert_capture as convert_capture
    from .commands.evaluate import evaluate_run as evaluate_run
    from .commands.fit import fit_capture as fit_capture
    from .commands.mesh import mesh_run as mesh_run
    from .commands.paint import paint_mesh as paint_mesh
    from .commands.render import render_run as render_run
    from .commands.swap import swap_runs as swap_runs
    from .config import TracerConfig as TracerConfig
    from .errors import TidrError as TidrError
    from .pictures.rendering import render_view as render_view
    from .runs.loading import load_run as load_run
    from .runs.painted import load_painted as load_painted
    from .tracing.exact import trace as trace
    from .types import Cameras as Cameras
    from .types import CaptureReading as CaptureReading
    from .types import Rays as Rays

_HOMES = {
    "Cameras": "types",
    "CaptureReading": "types",
    "Rays": "types",
    "TidrError": "errors",
    "TracerConfig": "config",
    "check_capture": "commands.check",
    "convert_capture": "commands.convert",
    "evaluate_run": "commands.evaluate",
    "fit_capture": "commands.fit",
    "load_painted": "runs.painted",
    "load_run": "runs.loading",
    "make_capture": "capture.synthetic",
    "mesh_run": "commands.mesh",
    "paint_mesh": "commands.paint",
    "read_capture": "capture.reading",
    "render_run": "commands.render",
    "render_view": "pictures.rendering",
    "swap_runs": "commands.swap",
    "trace": "tracing.exact",
}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]

# A waiting OpenMP thread that spins takes the core that a kernel needs; torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
