"""`tidr demo`: the whole job on a capture of its own: photograph, fit, mesh, measure, report."""

from __future__ import annotations

import sys
import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..files.writing import create_folder
from ..meshes.wanted import LightOptions
from .demo_methods import METHODS, OF_ITS_OWN, ON_SHAPES, MethodDemo
from .evaluate import evaluate_run
from .fit import fit_capture
from .mesh import mesh_run

if TYPE_CHECKING:
    from ..runtime import Arch


@dataclass(frozen=True)
class DemoSize:
    """How much of everything: photos, their height and width, paths per pixel, steps, rays, samples of the mesh."""

    views: int
    heldout: int
    size: tuple[int, int]
    samples: int
    steps: int
    rays: int
    mesh_resolution: int
    film_frames: int


FULL = DemoSize(
    views=24, heldout=4, size=(320, 320), samples=9, steps=2000, rays=2048, mesh_resolution=256, film_frames=36
)
QUICK = DemoSize(views=8, heldout=3, size=(96, 96), samples=6, steps=150, rays=512, mesh_resolution=64, film_frames=8)
SMALL = DemoSize(views=14, heldout=2, size=(80, 80), samples=6, steps=0, rays=0, mesh_resolution=96, film_frames=0)


def run_demo(
    out: Path = Path("runs/demo"),
    *,
    method: str | None = None,
    quick: bool = False,
    open_report: bool = False,
    arch: Arch = "cpu",
) -> Path:
    """Leave capture (`out/ewer`), run and `out/report/index.html` in `out`; returns the page.

    What an interrupted call left is used: the capture is not made twice, the fit goes on.
    method: another than the default one, in small; of `points`, `paint`, `shapes` and `flow` the result is a mesh.
    quick: a small one, for tests. Raises UsageError for an unknown method, and what its parts raise.
    """
    began, size = time.monotonic(), QUICK if quick else SMALL if method else FULL
    known = (*METHODS, *ON_SHAPES, *OF_ITS_OWN)
    if method is not None and method not in known:
        raise UsageError("no such demo", where=f"--method {method}", todo=f"choose {', '.join(known)}")
    create_folder(out)
    if method in OF_ITS_OWN:
        return _said(OF_ITS_OWN[method](out, quick=quick, arch=arch), began)
    from .. import runtime
    from ..capture.synthetic import make_capture
    from ..report.contents import write_report

    runtime.init(arch)
    _say(f"photographing an ewer: {size.views} photos and {size.heldout} held out")
    capture = make_capture(
        out / "ewer",
        views=size.views,
        heldout=size.heldout,
        size=size.size,
        samples=size.samples,
        on_view=_photo_counter(),
    )
    if method in ON_SHAPES:
        return _said(ON_SHAPES[method](capture, out, quick=quick, arch=arch), began)
    small = METHODS[method] if method else MethodDemo(size.steps, size.rays, ())
    steps = min(small.steps, size.steps) if quick else small.steps
    _say(f"fitting: {steps} steps")
    how = {"preset": method or "fast", "assignments": [*small.assignments]}
    fit_capture(capture, out=out, steps=steps, rays=small.rays, **how, arch=arch)
    _say("meshing")
    mesh_run(out, resolution=size.mesh_resolution, light=LightOptions(), arch=arch)
    _say("measuring")
    evaluate_run(out, gt_mesh=capture / "gt_mesh.ply", arch=arch)
    _say("writing the report")
    page = write_report(out, film_frames=size.film_frames, arch=arch)
    print(f"report    {page} ({time.monotonic() - began:.0f} s in all)")
    if open_report:
        webbrowser.open(page.resolve().as_uri())
    return page


def _said(mesh: Path, began: float) -> Path:
    """The result, where it is a mesh."""
    print(f"mesh      {mesh} ({time.monotonic() - began:.0f} s in all)")
    return mesh


def _photo_counter(interval: float = 5.0):
    """A line every few seconds while photos are taken."""
    last = time.monotonic()

    def count(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > interval or done == total:
            last = time.monotonic()
            _say(f"photo {done}/{total}")

    return count


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
