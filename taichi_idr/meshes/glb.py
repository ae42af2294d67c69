"""Binary glTF 2.0, with what a mesh was made of in the asset's extras."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from .mesh import Mesh

SMALLEST = 0.01  # extent of a mesh whose positions are written in its own unit
"""glTF's unit is the metre, and readers have tolerances for it: trimesh takes a node that moves by less than 1e-8 for
one that does not."""


@dataclass(frozen=True)
class Placement:
    """World position = scale * position + centre (3,)."""

    centre: np.ndarray
    scale: float

    def node(self) -> dict[str, Any]:
        """As properties of a glTF node, without those that would change nothing."""
        moved = {"translation": self.centre.tolist()} if self.centre.any() else {}
        return moved | ({"scale": [self.scale] * 3} if self.scale != 1 else {})


def placement(vertices: np.ndarray) -> Placement:
    """Where a node has to put vertices (V, 3) that the format keeps in single precision.

    The middle of their box in steps of a power of two, not larger than the box: viewers read a node's numbers in single
    precision too, in which this one is exact wherever a neighbour of it is no farther away than the mesh is wide.
    """
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    extent = float((high - low).max())
    unit = 2.0 ** (math.frexp(extent)[1] - 1)
    return Placement(np.round((low + high) / 2 / unit) * unit, unit if extent < SMALLEST else 1.0)


def stored_positions(vertices: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) as a reader in double precision gets them back."""
    place = placement(vertices)
    return _positions(vertices, place) * place.scale + place.centre


def glb_bytes(mesh: Mesh) -> bytes:
    """Binary glTF 2.0, unlit where it has colours: the photos' light is in them. Axes and unit stay the
    mesh's own."""
    place = placement(mesh.vertices)
    blocks = [("POSITION", _positions(mesh.vertices, place)), ("NORMAL", mesh.normals.astype("<f4"))]
    if mesh.colours is not None:
        blocks.append(("COLOR_0", _linear_colours(mesh.colours)))
    blocks.append(("indices", mesh.faces.astype("<u4").reshape(-1, 1)))
    accessors = [_accessor(index, name, block) for index, (name, block) in enumerate(blocks)]
    payload = [block.tobytes() for _, block in blocks]
    offsets = np.cumsum([0, *map(len, payload)]).tolist()
    views = [{"buffer": 0, "byteOffset": at, "byteLength": len(p)} for at, p in zip(offsets, payload, strict=False)]
    primitive = {"attributes": {name: i for i, (name, _) in enumerate(blocks[:-1])}, "indices": len(blocks) - 1}
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "taichi-idr"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0} | place.node()],
        "meshes": [{"primitives": [{**primitive, "material": 0}]}],
        "materials": [{"extensions": {"KHR_materials_unlit": {}}} if mesh.colours is not None else {}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": offsets[-1]}],
    }
    if mesh.extraction:
        document["asset"]["extras"] = mesh.origin()
    if mesh.colours is not None:
        document["extensionsUsed"] = ["KHR_materials_unlit"]
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + offsets[-1]
    head = struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON")
    return b"".join((head, text, struct.pack("<I4s", offsets[-1], b"BIN\0"), *payload))


def _positions(vertices: np.ndarray, place: Placement) -> np.ndarray:
    return ((vertices - place.centre) / place.scale).astype("<f4")


def _linear_colours(colours: np.ndarray) -> np.ndarray:
    """glTF wants linear light (the inverse of IEC 61966-2-1); 16 bits keep the shadows apart, alpha keeps
    rows aligned."""
    share = np.arange(256) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    table = np.round(linear * 65535).astype("<u2")
    return np.concatenate([table[colours], np.full((len(colours), 1), 65535, "<u2")], axis=1)


def _accessor(index: int, name: str, block: np.ndarray) -> dict[str, object]:
    kinds = {"f4": 5126, "u2": 5123, "u4": 5125}
    entry: dict[str, object] = {
        "bufferView": index,
        "componentType": kinds[block.dtype.str[1:]],
        "count": len(block),
        "type": {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[block.shape[1]],
    }
    if name == "COLOR_0":
        entry["normalized"] = True
    if name == "POSITION":  # required by the format
        entry["min"], entry["max"] = block.min(axis=0).tolist(), block.max(axis=0).tolist()
    return entry
