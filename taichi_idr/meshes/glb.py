"""Binary glTF 2.0, with what a mesh was made of in the asset's extras."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from .mesh import Mesh


def glb_bytes(mesh: Mesh) -> bytes:
    """Binary glTF 2.0, unlit where it has colours: the photos' light is in them. Axes and unit stay the
    mesh's own."""
    blocks = [("POSITION", mesh.vertices.astype("<f4")), ("NORMAL", mesh.normals.astype("<f4"))]
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
        "nodes": [{"mesh": 0}],
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
