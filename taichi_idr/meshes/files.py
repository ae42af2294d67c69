"""Which files can be meshes, without reading them."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import BadInput, InputMissing

READABLE = ("ply", "obj", "stl", "off", "glb")
CLOUDS = ("xyz", "txt", "csv", "pts", "asc", "npy", "npz", "las", "laz")


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


def sequence_files(folder: Path) -> list[Path]:
    """Two mesh files or more of a folder, or two clouds where no file is a mesh by its name, in the order of their
    names, numbers in these counting as numbers.

    Raises InputMissing, BadInput.
    """
    if not folder.is_dir():
        why = "a file, not a folder" if folder.exists() else ""
        raise InputMissing(
            "no such folder", where=folder, why=why, todo="name a folder of meshes or clouds, one for each time"
        )
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    found = [path for path in files if is_mesh(path)] or [path for path in files if _kind(path) in CLOUDS]
    if not found:
        why = f"expected files that end in {', '.join(READABLE)}, or clouds"
        raise InputMissing("no frames", where=folder, why=why, todo="name a folder of meshes, one for each time")
    if len(found) < 2:
        why = f"{found[0].name} alone shows no motion"
        raise BadInput("too few frames", where=folder, why=why, todo="add those of other times")
    return sorted(found, key=natural_key)


def is_mesh(path: Path) -> bool:
    """By its name."""
    return _kind(path) in READABLE


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorts a2 before a10."""
    parts = [part for part in re.split(r"(\d+)", path.name) if part]
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _kind(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")
