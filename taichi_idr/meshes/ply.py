"""Binary PLY, with what a mesh was made of as comments in its header."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..files.reading import head_of
from .mesh import BodyCount, Extraction, Mesh

HEADER_BYTES = 4096  # in which comments are looked for


def ply_bytes(mesh: Mesh) -> bytes:
    """Binary little-endian PLY: position, normal, colour.

    Positions are doubles wherever the mesh is, so that there is one kind of file and what is read is what was
    extracted: single precision is 0.5 m apart at a northing in UTM.
    """
    fields = [(name, "<f8") for name in ("x", "y", "z")] + [(name, "<f4") for name in ("nx", "ny", "nz")]
    columns = [*mesh.vertices.T, *mesh.normals.T]
    if mesh.colours is not None:
        fields += [(name, "u1") for name in ("red", "green", "blue")]
        columns += [*mesh.colours.T]
    table = np.empty(len(mesh.vertices), fields)
    for (name, _), column in zip(fields, columns, strict=True):
        table[name] = column
    triangles = np.empty(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    triangles["count"], triangles["corners"] = 3, mesh.faces
    words = {"<f8": "double", "<f4": "float", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment {name} {value}" for name, value in mesh.origin().items()]
    header += [f"element vertex {len(table)}"]
    header += [f"property {words[kind]} {name}" for name, kind in fields]
    header += [f"element face {len(triangles)}", "property list uchar int vertex_indices", "end_header", ""]
    return b"".join(("\n".join(header).encode(), table.tobytes(), triangles.tobytes()))


def read_extraction(path: Path) -> Extraction | None:
    """What the file's header says; None where there is no file, or it does not say."""
    header, _, _ = head_of(path, HEADER_BYTES).partition(b"end_header")
    found = dict(re.findall(r"^comment (\w+) (\d{1,18}|all|main)$", header.decode("latin-1"), re.M))
    resolution, step, bodies = found.get("resolution", ""), found.get("step", ""), found.get("bodies", "1")
    if not (resolution.isdigit() and step.isdigit()):
        return None
    kept: BodyCount = bodies if bodies in ("all", "main") else int(bodies)
    return Extraction(int(resolution), int(step), kept)
