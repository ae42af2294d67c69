"""`tidr mesh`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from taichi_idr.errors import UsageError
from taichi_idr.meshes.units import MarkerKind, Unit

from .options import ArchOption, RunArgument, chosen_bodies, chosen_run


def mesh(
    run: RunArgument = None,
    res: Annotated[int, typer.Option(min=8, max=4096, help="Samples along the shortest axis of its box.")] = 512,
    bodies: Annotated[
        str,
        typer.Option(metavar="main|all|largest|N", help="Which bodies; main: from 2 % of the largest on; N: so many."),
    ] = "main",
    level: Annotated[
        float | None, typer.Option(help="Density on the surface, of preset nerf. [default: volume.level, 50]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="One .ply, .glb, .obj, .stl or .usdz file. [default: mesh.ply, mesh.glb and light.glb, in RUN/mesh]"
        ),
    ] = None,
    faces: Annotated[
        str | None, typer.Option(metavar="N|all", help="Most faces of the light mesh, such as 20k. [default: 200k]")
    ] = None,
    texture: Annotated[
        str | None,
        typer.Option(metavar="TEXELS|auto|off", help="Longer side of its texture. [default: auto, as the photos]"),
    ] = None,
    texture_from: Annotated[
        Literal["field", "photos"] | None, typer.Option(help="Where its colours come from. [default: field]")
    ] = None,
    normal_map: Annotated[bool, typer.Option("--normal-map", help="A second texture keeps the fine shape.")] = False,
    formats: Annotated[
        str | None, typer.Option("--format", metavar="glb,obj,ply,stl,usd", help="Of the light mesh. [default: glb]")
    ] = None,
    box: Annotated[
        str | None, typer.Option(metavar="X,Y,Z,X,Y,Z", help="Keep what lies between two corners, world frame.")
    ] = None,
    plane: Annotated[
        list[str] | None, typer.Option(metavar="NX,NY,NZ,D", help="Keep where n . x >= d, world frame; repeatable.")
    ] = None,
    up: Annotated[
        Literal["y", "z"] | None, typer.Option(help="Turn vertices so that up in the photos is this axis.")
    ] = None,
    unit: Annotated[Unit | None, typer.Option(help="Unit that lengths are written in.")] = None,
    world_unit: Annotated[Unit | None, typer.Option(help="What the capture's unit is.")] = None,
    scale_points: Annotated[
        list[str] | None,
        typer.Option(metavar='"X,Y,Z X,Y,Z 120mm"', help="A known distance, which tells the unit; repeatable."),
    ] = None,
    marker: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Side of the printed marker in the photos, such as 50mm; it tells the unit."),
    ] = None,
    marker_kind: Annotated[
        MarkerKind | None, typer.Option(help="What marker it is. [default: auto, the first kind that is found]")
    ] = None,
    arch: ArchOption = "auto",
) -> None:
    """Extract a watertight, coloured mesh, and a light one with a texture.

    They are in the capture's own frame and unit, unless options say otherwise.
    """
    wanted = chosen_bodies(bodies)
    asked_light = any((faces, texture, texture_from, normal_map, formats))
    if out and formats:
        raise UsageError("two names for one format", where="--out, --format", todo="leave one out")
    if marker_kind and marker is None:
        todo = "give the side of its black square, such as --marker 50mm"
        raise UsageError("a marker of unknown size", where=f"--marker-kind {marker_kind}", todo=todo)
    from taichi_idr.meshes.scale import parsed_distance, parsed_marker
    from taichi_idr.meshes.wanted import LightOptions, Placing, parsed_cut, parsed_faces, parsed_formats, parsed_texture

    light = LightOptions(
        faces=parsed_faces(faces or "200k"),
        texture=parsed_texture(texture or "auto"),
        normal_map=normal_map,
        source=texture_from or "field",
        suffixes=(out.suffix.lower(),) if out else parsed_formats(formats or "glb"),
    )
    cut = parsed_cut(box, plane or ())
    printed = parsed_marker(marker, marker_kind or "auto") if marker is not None else None
    known = tuple(parsed_distance(text) for text in scale_points or ())
    placing = Placing(up, unit, world_unit, known, printed)
    chosen = chosen_run(run)
    from taichi_idr.commands.mesh import mesh_run

    mesh_run(
        chosen,
        resolution=res,
        bodies=wanted,
        level=level,
        out=out,
        light=light if asked_light or out is None else None,
        cut=cut,
        placing=placing,
        arch=arch,
    )
