"""`tidr scan`: from a folder of photos to a mesh and a page about it, in one go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .fit import fit_capture
from .prepare import Knowledge

if TYPE_CHECKING:
    from ..runtime import Arch


def scan_photos(
    source: Path,
    run: Path,
    knowledge: Knowledge | None = None,
    *,
    preset: str = "fast",
    steps: int | None = None,
    resolution: int = 512,
    arch: Arch = "cpu",
    threads: int | None = None,
) -> Path:
    """Fit plain photos, or a capture, into `run`; extract the mesh, measure and write the report; returns its page.

    knowledge: what is known of plain photos. What an interrupted call left is used. Raises what its parts raise.
    """
    more = {"preset": preset, "steps": steps, "arch": arch, "threads": threads}
    summary = fit_capture(source, out=run, knowledge=knowledge, **more)
    from ..meshes.wanted import LightOptions
    from ..report.contents import write_report
    from .evaluate import evaluate_run
    from .mesh import mesh_run

    mesh_run(run, resolution=resolution, light=LightOptions(), arch=arch)
    evaluate_run(run, arch=arch)
    page = write_report(run, arch=arch)
    print(f"verdict   {summary.verdict}")
    print(f"mesh      {run / 'mesh'}")
    print(f"report    {page}")
    return page
