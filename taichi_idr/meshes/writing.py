"""Which files a mesh is written to, by suffix; the formats are files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..files.writing import atomic_write

if TYPE_CHECKING:
    from .mesh import Mesh

SUFFIXES = (".ply", ".glb")


def mesh_files(folder: Path, out: Path | None) -> list[Path]:
    """`mesh.ply` and `mesh.glb` in the folder, or `out` alone. Raises UsageError for a suffix of no format."""
    if out is None:
        return [folder / f"mesh{suffix}" for suffix in SUFFIXES]
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError("unknown mesh format", where=f"--out {out}", todo=f"end it in {' or '.join(SUFFIXES)}")
    return [out]


def write_mesh(path: Path, mesh: Mesh) -> None:
    """Write one of `mesh_files`, whole or not at all. Raises WriteFailed."""
    from .glb import glb_bytes
    from .ply import ply_bytes

    encode = {".ply": ply_bytes, ".glb": glb_bytes}[path.suffix.lower()]
    atomic_write(path, encode(mesh))
