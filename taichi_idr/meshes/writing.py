"""Which files a mesh is written to, by suffix; the formats are files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..files.writing import atomic_write

if TYPE_CHECKING:
    import numpy as np

    from .mesh import Mesh

SUFFIXES = (".ply", ".glb", ".obj")
USUAL = (".ply", ".glb")


def mesh_files(folder: Path, out: Path | None) -> list[Path]:
    """`mesh.ply` and `mesh.glb` in the folder, or `out` alone. Raises UsageError for a suffix of no format."""
    if out is None:
        return [folder / f"mesh{suffix}" for suffix in USUAL]
    if out.suffix.lower() not in SUFFIXES:
        todo = f"end it in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise UsageError("unknown mesh format", where=f"--out {out}", todo=todo)
    return [out]


def write_mesh(path: Path, mesh: Mesh) -> None:
    """Write one of `mesh_files`, whole or not at all. Raises WriteFailed."""
    from .glb import glb_bytes
    from .obj import obj_bytes
    from .ply import ply_bytes

    encode = {".ply": ply_bytes, ".glb": glb_bytes, ".obj": obj_bytes}[path.suffix.lower()]
    atomic_write(path, encode(mesh))


def stored_positions(path: Path, vertices: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) float64 as the file keeps them; `vertices` itself where it keeps all of them."""
    from . import glb

    return glb.stored_positions(vertices) if path.suffix.lower() == ".glb" else vertices
