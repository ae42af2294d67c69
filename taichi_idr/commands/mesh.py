"""`tidr mesh`: the mesh of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import warn
from ..files.writing import create_folder
from ..meshes.wanted import Cut, LightOptions, Placing
from ..meshes.writing import mesh_files, stored_positions, write_mesh
from ..runs.folder import open_run

if TYPE_CHECKING:
    from ..meshes.extraction import MeshReport
    from ..meshes.mesh import BodyCount, Mesh
    from ..runs.markers import Marked
    from ..runs.stance import Placed
    from ..runtime import Arch
    from ..texturing.light import LightReport

LIGHT = "light"  # name of light meshes, beside `mesh`
THIN = 0.001  # share of the surface that may be thin before anything is said


def mesh_run(
    run: Path,
    *,
    resolution: int = 512,
    bodies: BodyCount = "main",
    level: float | None = None,
    out: Path | None = None,
    light: LightOptions | None = None,
    cut: Cut | None = None,
    placing: Placing | None = None,
    arch: Arch = "cpu",
) -> MeshReport:
    """Write the mesh of a run, coloured, in the world frame: `RUN/mesh/mesh.ply` and `.glb`, or the one file `out`.

    resolution: samples along the shortest axis of the object's box (EVAL-1). bodies: how many are kept, those that
    enclose most, "all", or "main", those that are not small beside the largest; hollows are filled. level: density on
    the surface, of a model that has one. light: a mesh of fewer faces, with a texture, is written beside them to
    `RUN/mesh/light.*`, or is the one that `out` holds. cut: what is kept of the object; the mesh is closed where it was
    cut. placing: turns and units. Prints what it found.

    >>> report = mesh_run(run, resolution=32)
    mesh      ...
    >>> report.topology.closed, [file.name for file in report.files]
    (True, ['mesh.ply', 'mesh.glb'])

    Raises UsageError, InputMissing, BadInput; Diverged when the field has no surface; Unavailable where a format needs
    a library that is not installed, or a marker OpenCV; CannotCreate or WriteFailed for the files.
    """
    files = mesh_files(open_run(run).mesh, out)
    create_folder(files[0].parent)
    from .. import runtime
    from ..meshes.mesh import Extraction, transformed
    from ..runs.loading import load_run
    from ..runs.meshing import Mesher
    from ..runs.stance import placed

    runtime.init(arch)
    loaded = load_run(run)
    if level is not None:
        loaded = replace(loaded, model=loaded.model.at_level(level))
    there = placed(loaded, placing or Placing())
    mesher = Mesher(loaded, bodies, cut or Cut())
    fine, report = mesher.fine(resolution, coloured=light is None or out is None)
    written, more = [], []
    if light is None or out is None:
        mesh = transformed(fine, there.T_file_world) if there.moves else fine
        if level is None and not mesher.cut and not there.moves:  # else it is not the one that is measured
            mesh = replace(mesh, extraction=Extraction(resolution, loaded.step, bodies))
        written += [path for file in files for path in write_mesh(file, mesh)]
        report = _as_stored(report, mesh, files)
    if light is not None:
        made, about = mesher.light(fine, light)
        made = transformed(made, there.T_file_world) if there.moves else made
        lights = [out] if out else [files[0].with_name(LIGHT + suffix) for suffix in light.suffixes]
        written += [path for file in lights for path in write_mesh(file, made, there.stance)]
        more = _light_lines(made, about, there, lights)
    report = replace(report, files=tuple(written))
    print("\n".join([*mesh_lines(report), *_scale_lines(there), *more, *(f"written   {path}" for path in written)]))
    return report


def _as_stored(report: MeshReport, mesh: Mesh, files: list[Path]) -> MeshReport:
    """The report of what `files` hold: of the one in which most vertices fall together."""
    from ..meshes.mesh import joined_by_position, topology

    for file in files:
        stored = stored_positions(file, mesh.vertices)
        if stored is mesh.vertices:
            continue
        distinct, faces = joined_by_position(stored, mesh.faces)
        if report.vertices - distinct > report.coincident:
            report = replace(report, coincident=report.vertices - distinct, topology=topology(faces, distinct))
    return report


def mesh_lines(report: MeshReport) -> list[str]:
    """What was extracted, in words."""
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
    return lines


def _light_lines(mesh: Mesh, about: LightReport, there: Placed, files: list[Path]) -> list[str]:
    """What the light mesh is; where it is to be printed, how much it encloses and whether its walls are too thin."""
    from ..cameras.pinhole import scale_of
    from ..texturing.light import thin_share

    scale = scale_of(there.T_file_world)
    how_far = f"{about.distance * scale:.2g} {there.unit} from the fine mesh, {about.most * scale:.2g} at most"
    state = "watertight" if about.closed else "NOT watertight"
    lines = [f"light     {about.faces:,} faces, {state}, {how_far}, {about.seconds:.1f} s"]
    if about.texels:
        width, height = about.texels
        lines.append(f"texture   {width} x {height} texels, charts at least {about.apart:.1f} apart")
    if any(file.suffix.lower() == ".stl" for file in files):
        lines.append(f"volume    {about.volume * scale**3:.4g} cubic {there.unit}")
        if there.unit != "mm":
            warn("slicers take the numbers of an STL for millimetres: --unit mm writes them so")
        if (thin := thin_share(mesh, about.sample * scale)) > THIN:
            warn(f"{thin:.1%} of the surface is thinner than a sample, {about.sample * scale:.2g} {there.unit}")
    return lines


def _scale_lines(there: Placed) -> list[str]:
    if there.scale is None:
        return []
    uncertainty = there.scale.uncertainty
    known = "its uncertainty is not: give two distances" if uncertainty is None else f"to {uncertainty:.2%}"
    return [*_marker_lines(there.marked), f"scale     a world unit is {there.scale.metres * 1000:.6g} mm, {known}"]


def _marker_lines(found: Marked | None) -> list[str]:
    if found is None:
        return []
    return [
        f"marker    {found.kind} {marker.number} in {marker.photos} of {found.photos} photos, "
        f"corners to {marker.residual:.2f} pixels"
        for marker in found.markers
    ]


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
