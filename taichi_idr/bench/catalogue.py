"""All cases, in the order in which they run."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from ..errors import UsageError
from . import encoding, launches, networks, patches, rays, surfaces, tracing
from .case import Entry

STEP = (2048, 8192, 65536)
"""Rays of a step of preset `fast`, points that it asks its field about at once, and those of a lattice or a picture."""

CATALOGUE: tuple[Entry, ...] = (
    Entry("launch.one", launches.one_argument, (1,), "launch", fixed=True),
    Entry("launch.ten", launches.ten_arguments, (1,), "launch", fixed=True),
    Entry("rays.generate", rays.generate, STEP, "ray"),
    Entry("rays.generate.adjoint", rays.generate_adjoint, STEP, "ray"),
    Entry("rays.bounds", rays.bounds, STEP, "ray"),
    Entry("intersection", rays.intersection, STEP, "ray"),
    Entry("intersection.adjoint", rays.intersection_adjoint, STEP, "ray"),
    Entry("compositing", rays.compositing, (1024, 8192), "ray"),
    Entry("compositing.adjoint", rays.compositing_adjoint, (1024, 8192), "ray"),
    Entry("hash.value", encoding.value, STEP, "point"),
    Entry("hash.value.to_table", encoding.value_to_table, STEP, "point"),
    Entry("hash.value.to_points", encoding.value_to_points, STEP, "point"),
    Entry("hash.jacobian", encoding.jacobian, STEP, "point"),
    Entry("hash.jacobian.to_table", encoding.jacobian_to_table, STEP, "point"),
    Entry("hash.jacobian.to_points", encoding.jacobian_to_points, STEP, "point"),
    Entry("hash.together", encoding.together, STEP, "point"),
    Entry("hash.following", encoding.following, STEP, "point"),
    Entry("sparse_adam", encoding.sparse_adam, (8192, 65536, 262144), "row", fixed=True),
    Entry("field.values", networks.field_values, STEP, "point"),
    Entry("activations", networks.softplus, (2048, 8192), "point"),
    Entry("activations.adjoint", networks.softplus_adjoint, (2048, 8192), "point"),
    Entry("march", tracing.march, STEP, "ray"),
    Entry("least_along", tracing.least_along, STEP, "ray"),
    Entry("walk.start_fronts", tracing.start_fronts, STEP, "ray"),
    Entry("walk.advance", tracing.advance, STEP, "ray"),
    Entry("walk.pull_back", tracing.pull_back, STEP, "ray"),
    Entry("walk.stop_crossed", tracing.stop_crossed, STEP, "ray"),
    Entry("secant.least_sample", tracing.least_sample, (2048, 8192), "ray"),
    Entry("secant.first_crossing", tracing.first_crossing, (2048, 8192), "ray"),
    Entry("secant.cross_chord", tracing.cross_chord, STEP, "ray"),
    Entry("secant.narrow", tracing.narrow, STEP, "ray"),
    Entry("compaction.list", tracing.list_active, (16384, 131072), "flag"),
    Entry("compaction.points", tracing.points_along, STEP, "ray"),
    Entry("screening", tracing.screening, (256, 2048), "ray"),
    Entry("trace.analytic", tracing.trace_analytic, STEP, "ray"),
    Entry("trace.fitted", tracing.trace_fitted, (2048, 8192), "ray"),
    Entry("trace.proxy.training", tracing.proxy_training, (2048, 8192), "ray"),
    Entry("trace.proxy.viewing", tracing.proxy_viewing, (2048, 8192), "ray"),
    Entry("image", tracing.image, (4800, 120000), "pixel", fixed=True),
    Entry("analytic_sdf", surfaces.analytic_sdf, STEP, "point"),
    Entry("ewer", surfaces.ewer_distance, STEP, "point"),
    Entry("hull", surfaces.carve, (32768, 884736), "point", fixed=True),
    Entry("votes", surfaces.votes, (32768, 884736), "point", fixed=True),
    Entry("hull.meet", surfaces.meet, STEP, "ray"),
    Entry("patch_align", patches.align, (512, 2048, 8192), "patch"),
    Entry("patch_likeness", patches.likeness, (512, 2048), "patch"),
    Entry("patch_likeness.adjoint", patches.likeness_adjoint, (512, 2048), "patch"),
    Entry("plane_sweep", patches.sweep, (512, 8192), "pixel"),
    Entry("depth_maps", patches.depths, (8192, 65536), "point"),
    Entry("closest_triangle", surfaces.triangles, (2048, 65536), "point"),
    Entry("first_triangle", surfaces.first_triangles, (2048, 65536), "ray"),
    Entry("chart_raster", surfaces.charts, (256, 1024), "row"),
    Entry("crossings", surfaces.mesh_crossings, (2048, 65536), "ray"),
)


def chosen(names: Sequence[str], sizes: Sequence[int] | None = None, *, quick: bool = False) -> list[Entry]:
    """Entries of these names, or below them (`hash` is all of `hash.…`); all where none is named. Raises UsageError.

    sizes take the place of an entry's own unless it is fixed; quick keeps the least.
    """
    for name in names:
        if not any(_is_below(entry, name) for entry in CATALOGUE):
            known = sorted({*(entry.name for entry in CATALOGUE), *(e.name.partition(".")[0] for e in CATALOGUE)})
            near = difflib.get_close_matches(name, known, 1, cutoff=0.0)[0]
            raise UsageError("no such case", where=name, why=f"the nearest is {near}", todo="see tidr bench --list")
    entries = [entry for entry in CATALOGUE if not names or any(_is_below(entry, name) for name in names)]
    return [_resized(entry, sizes, quick) for entry in entries]


def _is_below(entry: Entry, name: str) -> bool:
    return entry.name == name or entry.name.startswith(f"{name}.")


def _resized(entry: Entry, sizes: Sequence[int] | None, quick: bool) -> Entry:
    wanted = tuple(sizes) if sizes and not entry.fixed else entry.sizes
    return Entry(entry.name, entry.build, (min(wanted),) if quick else wanted, entry.unit, entry.fixed)
