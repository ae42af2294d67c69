"""`tidr points`: a point cloud becomes a mesh."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..clouds.reading import find_cloud, read_cloud
from ..errors import BadInput
from ..files.writing import atomic_write, gone_if_refused
from ..meshes.writing import write_mesh
from ..methods.points.settings import make_points_config
from ..runs.folder import default_run

if TYPE_CHECKING:
    from ..meshes.extraction import MeshReport
    from ..meshes.mesh import BodyCount
    from ..methods.points.prepared import PreparedCloud
    from ..runtime import Arch

LEAST_POINTS = 10
MESH, SUMMARY = "mesh.ply", "summary.txt"


def mesh_points(
    cloud: Path,
    *,
    out: Path | None = None,
    preset: str = "fast",
    assignments: list[str] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    resolution: int = 256,
    bodies: BodyCount | None = None,
    arch: Arch = "cpu",
    threads: int | None = None,
) -> MeshReport:
    """Fit a signed distance to a file of points and write its surface, `OUT/mesh.ply`, and `OUT/summary.txt`.

    The mesh is watertight, in the cloud's frame and unit, and has its colours. Points need no normals; those that they
    have are used. resolution: samples along the shortest axis of the object's box. bodies: how many are kept, those
    that enclose most; None is as many as `fast` finds in the cloud, or one. Prints what it found.

    >>> report = mesh_points(cloud, out=out, steps=20, resolution=32)
    points    ...
    >>> report.topology.closed, [file.name for file in report.files]
    (True, ['mesh.ply'])

    Raises UsageError, InputMissing, BadInput, Unavailable (LAS without laspy), CannotCreate, WriteFailed, Diverged.
    """
    began = time.monotonic()
    config = make_points_config(preset, assignments or [], schedule={"steps": steps}, seed=seed)
    folder = out or default_run(find_cloud(cloud).stem)
    with gone_if_refused(folder) as keep:
        from ..files.writing import create_folder

        create_folder(folder)
        points = read_cloud(cloud)
        if len(points) < LEAST_POINTS:
            why = f"{len(points)}, at least {LEAST_POINTS} are needed"
            raise BadInput("too few points", where=cloud, why=why, todo="scan the object from all sides")
        from .. import runtime
        from ..fitting.progress import Moment, Progress
        from ..methods.points.fitting import fit_field, mesh_of, threads_for, trainer_of
        from ..methods.points.prepared import prepared
        from .mesh import mesh_lines

        device = runtime.init(arch, threads=threads).device
        count = len(points)
        found = prepared(points, config.cloud)
        del points
        lines = _cloud_lines(count, found)
        print("\n".join(lines), flush=True)
        trainer = trainer_of(config, found, device)
        steps, batch = config.schedule.steps, config.samples.surface
        with threads_for(config), Progress(steps, batch, items="points") as progress:
            fit_field(trainer, lambda step, loss: progress.update(Moment(step, loss)))
        mesh, report = mesh_of(trainer, found, resolution=resolution, bodies=bodies)
        keep()
        write_mesh(folder / MESH, mesh)
    report = replace(report, files=(folder / MESH,))
    fitted = f"fit       {config.preset}, {config.schedule.steps:,} steps, seed {config.seed}"
    more = [f"{fitted}, {time.monotonic() - began:.0f} s in all", *mesh_lines(report)]
    atomic_write(folder / SUMMARY, "\n".join([*lines, *more, ""]))
    print("\n".join(more))
    return report


def _cloud_lines(count: int, found: PreparedCloud) -> list[str]:
    """What the cloud is, in words."""
    import numpy as np

    thinned, scale = found.thinned, float(found.T_world_normalised[0, 0])
    kinds = [name for name in ("normals", "colours") if getattr(thinned.cloud, name) is not None]
    parts = [f"{thinned.outliers:,} outliers left out"] if thinned.outliers else []
    parts += [f"{thinned.merged:,} merged with others"] if thinned.merged else []
    spacing, noise = (scale * float(np.median(values)) for values in (found.planes.spacing, found.planes.noise))
    return [
        f"points    {count:,}" + (f", with {' and '.join(kinds)}" if kinds else ""),
        *([f"used      {len(thinned.cloud):,}: {', '.join(parts)}"] if parts else []),
        f"spacing   {spacing:.3g}, about {noise:.2g} off their planes",
    ]
