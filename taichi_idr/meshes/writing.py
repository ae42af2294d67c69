"""Which files a mesh is written to, by suffix; the formats are files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..files.writing import atomic_write

if TYPE_CHECKING:
    import numpy as np

    from .mesh import Mesh, Stance

SUFFIXES = (".ply", ".glb", ".obj", ".stl", ".usdz")
USUAL = (".ply", ".glb")


def mesh_files(folder: Path, out: Path | None) -> list[Path]:
    """`mesh.ply` and `mesh.glb` in the folder, or `out` alone. Raises UsageError for a suffix of no format."""
    if out is None:
        return [folder / f"mesh{suffix}" for suffix in USUAL]
    if out.suffix.lower() not in SUFFIXES:
        todo = f"end it in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise UsageError("unknown mesh format", where=f"--out {out}", todo=todo)
    return [out]


def write_mesh(path: Path, mesh: Mesh, stance: Stance | None = None) -> list[Path]:
    """Write one of `mesh_files`, whole or not at all, and beside an OBJ its material and pictures. All files that were
    written, `path` first. Formats with nodes turn the mesh upright, where a stance says how. Raises WriteFailed, and
    Unavailable where a format needs a library that is not there."""
    from .glb import glb_bytes
    from .obj import obj_bytes
    from .ply import ply_bytes
    from .stl import stl_bytes
    from .usd import usdz_bytes

    suffix = path.suffix.lower()
    if suffix == ".obj" and mesh.texture is not None:
        return _write_textured_obj(path, mesh)
    if suffix in (".glb", ".usdz"):
        data = (glb_bytes if suffix == ".glb" else usdz_bytes)(mesh, stance)
    else:
        data = {".ply": ply_bytes, ".obj": obj_bytes, ".stl": stl_bytes}[suffix](mesh)
    atomic_write(path, data)
    return [path]


def _write_textured_obj(path: Path, mesh: Mesh) -> list[Path]:
    """The mesh last: what it names is there."""
    from .obj import mtl_text, obj_bytes
    from .texture import jpeg_bytes, png_bytes

    texture = mesh.texture
    assert texture is not None
    library, colours = path.with_suffix(".mtl"), path.with_suffix(".jpg")
    normals = path.with_name(f"{path.stem}-normals.png")
    atomic_write(colours, jpeg_bytes(texture.colours))
    if texture.normals is not None:
        atomic_write(normals, png_bytes(texture.normals))
    atomic_write(library, mtl_text(mesh, colours.name, None if texture.normals is None else normals.name))
    atomic_write(path, obj_bytes(mesh, library.name))
    return [path, library, colours, *([] if texture.normals is None else [normals])]


def stored_positions(path: Path, vertices: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) float64 as the file keeps them; `vertices` itself where it keeps all of them."""
    from . import glb

    return glb.stored_positions(vertices) if path.suffix.lower() == ".glb" else vertices
