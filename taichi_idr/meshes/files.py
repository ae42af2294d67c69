"""Which files can be meshes, without reading them."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadInput, InputMissing

READABLE = ("ply", "obj", "stl", "off", "glb")


def find_meshes(path: Path) -> list[Path]:
    """The file itself, or all meshes of a folder by name. Raises InputMissing, BadInput (no suffix of a mesh)."""
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:
        raise InputMissing("no such mesh", where=path, why=error.strerror or "", todo="check the path") from error
    if not is_there:
        raise InputMissing("no such mesh", where=path, todo="check the path")
    if not is_folder:
        mesh_kind(path)
        return [path]
    files = [file for file in sorted(path.iterdir()) if _kind(file) in READABLE]
    if not files:
        raise InputMissing("no meshes in this folder", where=path, todo=f"put some in it: {', '.join(READABLE)}")
    return files


def mesh_kind(path: Path) -> str:
    """One of READABLE. Raises BadInput."""
    kind = _kind(path)
    if kind not in READABLE:
        raise BadInput("not a mesh", where=path, why=f"expected one of {', '.join(READABLE)}", todo="convert it")
    return kind


def _kind(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")
