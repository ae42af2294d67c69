"""`tidr mesh`: the mesh of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..files.writing import create_folder
from ..meshes.writing import mesh_files, stored_positions, write_mesh
from ..runs.folder import open_run

if TYPE_CHECKING:
    from torch import Tensor

    from ..meshes.extraction import MeshReport
    from ..meshes.mesh import BodyCount, Mesh
    from ..runtime import Arch


def mesh_run(
    run: Path,
    *,
    resolution: int = 512,
    bodies: BodyCount = 1,
    level: float | None = None,
    out: Path | None = None,
    arch: Arch = "cpu",
) -> MeshReport:
    """Write the mesh of a run, coloured, in the world frame: `RUN/mesh/mesh.ply` and `.glb`, or the one file `out`.

    resolution: samples along the shortest axis of the object's box (EVAL-1). bodies: how many are kept, those that
    enclose most, or "all"; hollows are filled. level: density on the surface, of a model that has one. Prints
    what it found.

    >>> report = mesh_run(run, resolution=32)
    mesh      ...
    >>> report.topology.closed, [file.name for file in report.files]
    (True, ['mesh.ply', 'mesh.glb'])

    Raises UsageError, InputMissing, BadInput; Diverged when the field has no surface; CannotCreate or WriteFailed for
    the files.
    """
    files = mesh_files(open_run(run).mesh, out)
    create_folder(files[0].parent)
    from .. import runtime
    from ..meshes.colours import viewing_directions
    from ..meshes.extraction import extract_mesh
    from ..meshes.mesh import Extraction
    from ..runs.loading import load_run
    from ..runs.surface import run_surface

    runtime.init(arch)
    loaded = load_run(run)
    if level is not None:
        loaded = replace(loaded, model=loaded.model.at_level(level))
    model, centres, T = loaded.model, loaded.cameras.centres, loaded.T_world_normalised

    def colour(points: Tensor, normals: Tensor) -> Tensor:
        return model.colour(points, viewing_directions(points, normals, centres.to(points)))

    options = {"T_world_normalised": T, "radius": model.radius, "colour": colour, "is_distance": model.is_distance}
    mesh, report = extract_mesh(run_surface(loaded), resolution=resolution, bodies=bodies, **options)
    if level is None:  # else it is not the one that is measured
        mesh = replace(mesh, extraction=Extraction(resolution, loaded.step, bodies))
    for file in files:
        write_mesh(file, mesh)
    report = replace(_as_stored(report, mesh, files), files=tuple(files))
    print("\n".join(mesh_lines(report)))
    return report


def _as_stored(report: MeshReport, mesh: Mesh, files: list[Path]) -> MeshReport:
    """The report of what `files` hold: of the one in which most vertices fall together."""
    from ..meshes.mesh import topology_by_position

    for file in files:
        stored = stored_positions(file, mesh.vertices)
        if stored is mesh.vertices:
            continue
        distinct, topology = topology_by_position(stored, mesh.faces)
        if report.vertices - distinct > report.coincident:
            report = replace(report, coincident=report.vertices - distinct, topology=topology)
    return report


def mesh_lines(report: MeshReport) -> list[str]:
    """What was extracted and where it is, in words."""
    topology = report.topology
    state = "watertight and manifold" if topology.closed else "NOT watertight"
    handles = f", {topology.handles} handles" if topology.closed else ""
    lines = [
        f"mesh      {report.vertices:,} vertices, {report.faces:,} faces, {report.seconds:.1f} s",
        f"surface   {state}, {_plural(topology.bodies, 'body', 'bodies')}{handles}",
        "size      " + " x ".join(f"{extent:.4g}" for extent in report.size) + " world units",
    ]
    if report.coincident:
        share = report.coincident / report.vertices
        lines.append(f"merged    {share:.1%} of the vertices: so far from zero no number tells them apart")
    if report.filled:
        lines.append(f"filled    {_plural(report.filled, 'hollow', 'hollows')}")
    if report.dropped:
        lines.append(f"dropped   {_plural(report.dropped, 'smaller body', 'smaller bodies')}")
    if report.clipped:
        lines.append(f"clipped   {report.clipped:.1%} of the vertices: the bounding sphere cuts the surface")
    return lines + [f"written   {path}" for path in report.files]


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
