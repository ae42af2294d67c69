"""Binary glTF 2.0, with what a mesh was made of in the asset's extras."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from .mesh import Mesh, Stance
from .texture import Texture, jpeg_bytes, png_bytes

VERTICES, INDICES = 34962, 34963  # what views are for, as glTF numbers it
SMALLEST = 0.01  # extent of a mesh whose positions are written in its own unit
"""glTF's unit is the metre, and readers have tolerances for it: trimesh takes a node that moves by less than 1e-8 for
one that does not."""


@dataclass(frozen=True)
class Placement:
    """World position = scale * position + centre (3,)."""

    centre: np.ndarray
    scale: float

    def node(self, vertices: np.ndarray, stance: Stance | None = None) -> dict[str, Any]:
        """As properties of a glTF node, without those that would change nothing. With a stance, vertices (V, 3) stand
        upright on the origin."""
        if stance is None:
            moved = {"translation": self.centre.tolist()} if self.centre.any() else {}
            return moved | ({"scale": [self.scale] * 3} if self.scale != 1 else {})
        turn, unit = stance.turn, stance.metres or 1.0
        x, y, z, w = Rotation.from_matrix(turn).as_quat().tolist()
        return {
            "translation": (unit * (turn @ self.centre - _foot(vertices @ turn.T))).tolist(),
            "rotation": [x, y, z, w],
            "scale": [unit * self.scale] * 3,
            "extras": {"T_capture_vertices": (stance.T_capture_mesh @ self.matrix()).tolist()},
        }

    def matrix(self) -> np.ndarray:
        """(4, 4), the mesh's frame of positions."""
        matrix = np.diag([self.scale, self.scale, self.scale, 1.0])
        matrix[:3, 3] = self.centre
        return matrix


def _foot(vertices: np.ndarray) -> np.ndarray:
    """The middle (3,) of the underside of the box of vertices (V, 3), y upward."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])


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


def glb_bytes(mesh: Mesh, stance: Stance | None = None) -> bytes:
    """Binary glTF 2.0. Vertices keep the mesh's own axes and unit; with a stance a node turns them upright, and makes
    metres of them where the unit is known.

    Unlit where it has colours, for the photos' light is in them; lit where it has a normal map, which is nothing
    without light.
    """
    place, texture = placement(mesh.vertices), mesh.texture
    vertex = slice(None) if texture is None else texture.atlas.vertex
    attributes = {"POSITION": _positions(mesh.vertices, place)[vertex], "NORMAL": mesh.normals[vertex].astype("<f4")}
    if texture is not None:
        attributes["TEXCOORD_0"] = texture.atlas.uv.astype("<f4")
        if texture.tangents is not None:
            attributes["TANGENT"] = texture.tangents.astype("<f4")
    elif mesh.colours is not None:
        attributes["COLOR_0"] = _linear_colours(mesh.colours)
    buffer = _Buffer()
    accessors = [buffer.accessor(name, block) for name, block in attributes.items()]
    faces = mesh.faces if texture is None else texture.atlas.corners
    accessors.append(buffer.accessor("indices", faces.astype("<u4").reshape(-1, 1)))
    primitive = {"attributes": {name: i for i, name in enumerate(attributes)}, "indices": len(attributes)}
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "taichi-idr"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0} | place.node(mesh.vertices, stance)],
        "meshes": [{"primitives": [{**primitive, "material": 0}]}],
        "materials": [_material(mesh)],
        "accessors": accessors,
    }
    if texture is not None:
        document |= _pictures(texture, buffer)
    if mesh.extraction:
        document["asset"]["extras"] = mesh.origin()
    if "extensions" in document["materials"][0]:
        document["extensionsUsed"] = list(document["materials"][0]["extensions"])
    return _packed(document, buffer)


class _Buffer:
    """Blocks one after the other, each a view of the buffer."""

    def __init__(self) -> None:
        self.views: list[dict[str, int]] = []
        self.payload: list[bytes] = []
        self.length = 0

    def view(self, data: bytes, target: int | None = None) -> int:
        """The number of the new view; target: what it is for, as glTF numbers it."""
        view = {"buffer": 0, "byteOffset": self.length, "byteLength": len(data)}
        self.views.append(view if target is None else view | {"target": target})
        self.payload.append(data + b"\0" * (-len(data) % 4))
        self.length += len(self.payload[-1])
        return len(self.views) - 1

    def accessor(self, name: str, block: np.ndarray) -> dict[str, object]:
        return _accessor(self.view(block.tobytes(), INDICES if name == "indices" else VERTICES), name, block)


def _material(mesh: Mesh) -> dict[str, Any]:
    material: dict[str, Any] = {}
    if mesh.texture is not None:
        material["pbrMetallicRoughness"] = {
            "baseColorTexture": {"index": 0},
            "metallicFactor": 0.0,
            "roughnessFactor": 1.0,
        }
        if mesh.texture.normals is not None:
            return material | {"normalTexture": {"index": 1}}
    if mesh.texture is not None or mesh.colours is not None:
        material["extensions"] = {"KHR_materials_unlit": {}}
    return material


def _pictures(texture: Texture, buffer: _Buffer) -> dict[str, Any]:
    """Images of a document, textures that show them, and how they are sampled."""
    images = [{"bufferView": buffer.view(jpeg_bytes(texture.colours)), "mimeType": "image/jpeg"}]
    if texture.normals is not None:
        images.append({"bufferView": buffer.view(png_bytes(texture.normals)), "mimeType": "image/png"})
    linear, mipmaps, clamped = 9729, 9987, 33071
    sampler = {"magFilter": linear, "minFilter": mipmaps, "wrapS": clamped, "wrapT": clamped}
    textures = [{"sampler": 0, "source": i} for i in range(len(images))]
    return {"images": images, "textures": textures, "samplers": [sampler]}


def _packed(document: dict[str, Any], buffer: _Buffer) -> bytes:
    document = document | {"bufferViews": buffer.views, "buffers": [{"byteLength": buffer.length}]}
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + buffer.length
    head = struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON")
    return b"".join((head, text, struct.pack("<I4s", buffer.length, b"BIN\0"), *buffer.payload))


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
        "type": {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}[block.shape[1]],
    }
    if name == "COLOR_0":
        entry["normalized"] = True
    if name == "POSITION":  # required by the format
        entry["min"], entry["max"] = block.min(axis=0).tolist(), block.max(axis=0).tolist()
    return entry
