"""Triangle meshes: what is measured on them, and the PLY and GLB files that hold them."""

from __future__ import annotations

import io
import json
import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..errors import BadInput, InputMissing

CHUNK = 1 << 17  # faces at a time; bounds the memory of intermediate results
READABLE = ("ply", "obj", "stl", "off", "glb")


@dataclass(frozen=True)
class Mesh:
    """vertices (V, 3) float64; faces (F, 3) int32, counter-clockwise seen from outside; normals (V, 3)
    float32 unit; colours (V, 3) uint8 sRGB or None."""

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    colours: np.ndarray | None = None


@dataclass(frozen=True)
class Topology:
    """`closed`: every edge belongs to exactly two faces that run through it in opposite directions; `bodies`:
    connected parts; `euler`: V - E + F, 2 for a sphere and 2 - 2 g with g handles."""

    closed: bool
    bodies: int
    euler: int

    @property
    def handles(self) -> int:
        """Genus, summed over the bodies; meaningful when closed."""
        return self.bodies - self.euler // 2


def make_mesh(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """Mesh with area-weighted vertex normals, uncoloured."""
    return Mesh(vertices, faces, _vertex_normals(vertices, faces))


def transformed(mesh: Mesh, similarity: np.ndarray) -> Mesh:
    """`mesh` moved by a (4, 4) similarity of positive scale."""
    linear = similarity[:3, :3]
    rotation = linear / np.cbrt(np.linalg.det(linear))
    vertices = mesh.vertices @ linear.T + similarity[:3, 3]
    return replace(mesh, vertices=vertices, normals=(mesh.normals @ rotation.T).astype(np.float32))


def topology(faces: np.ndarray, vertex_count: int) -> Topology:
    """Count edges and parts; a vertex that no face uses counts as a body."""
    starts, ends = faces, np.roll(faces, -1, axis=1)
    forth = np.sort((starts.astype(np.int64) * vertex_count + ends).ravel())
    back = np.sort((ends.astype(np.int64) * vertex_count + starts).ravel())
    closed = bool(len(forth) > 0 and np.array_equal(forth, back) and np.all(forth[1:] != forth[:-1]))
    both = forth if closed else np.sort(np.concatenate([forth, back]))
    edges = (int(np.count_nonzero(np.diff(both))) + min(len(both), 1)) // 2
    bodies, _ = _parts(faces, vertex_count)
    return Topology(closed, bodies, vertex_count - edges + len(faces))


def largest_body(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The connected part that encloses most (the wall of a hollow encloses less than nothing), and how many
    there were."""
    bodies, label = _parts(faces, len(vertices))
    if bodies <= 1:
        return vertices, faces, bodies
    of_face = label[faces[:, 0]]
    kept = of_face == np.argmax(np.bincount(of_face, weights=_volumes(vertices, faces), minlength=bodies))
    in_use = np.zeros(len(vertices), bool)
    in_use[faces[kept]] = True
    used = np.flatnonzero(in_use)
    renumbered = np.zeros(len(vertices), np.int32)
    renumbered[used] = np.arange(len(used), dtype=np.int32)
    return vertices[used], renumbered[faces[kept]], bodies


def area(vertices: np.ndarray, faces: np.ndarray) -> float:
    return float(np.linalg.norm(face_vectors(vertices, faces), axis=1).sum() / 2)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Enclosed volume, positive where faces look outward."""
    return float(_volumes(vertices - vertices.mean(axis=0), faces).sum())


def face_vectors(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Outward normals (F, 3) whose length is twice the face's area."""
    vectors = np.empty((len(faces), 3))
    for start in range(0, len(faces), CHUNK):
        a, b, c = (vertices[faces[start : start + CHUNK, k]] for k in range(3))
        vectors[start : start + CHUNK] = np.cross(b - a, c - a)
    return vectors


def ply_bytes(mesh: Mesh) -> bytes:
    """Binary little-endian PLY: position, normal, colour."""
    fields = [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    columns = [*mesh.vertices.T, *mesh.normals.T]
    if mesh.colours is not None:
        fields += [(name, "u1") for name in ("red", "green", "blue")]
        columns += [*mesh.colours.T]
    table = np.empty(len(mesh.vertices), fields)
    for (name, _), column in zip(fields, columns, strict=True):
        table[name] = column
    triangles = np.empty(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    triangles["count"], triangles["corners"] = 3, mesh.faces
    words = {"<f4": "float", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    header += [f"property {words[kind]} {name}" for name, kind in fields]
    header += [f"element face {len(triangles)}", "property list uchar int vertex_indices", "end_header", ""]
    return b"".join(("\n".join(header).encode(), table.tobytes(), triangles.tobytes()))


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
    document = {
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
    if mesh.colours is not None:
        document["extensionsUsed"] = ["KHR_materials_unlit"]
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + offsets[-1]
    head = struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON")
    return b"".join((head, text, struct.pack("<I4s", offsets[-1], b"BIN\0"), *payload))


def read_mesh(path: Path) -> Mesh:
    """Read a closed or open triangle mesh; textures and materials are not followed.

    Raises InputMissing when the file is absent, BadInput when it holds no usable triangles.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in READABLE:
        raise BadInput("not a mesh", where=path, why=f"expected one of {', '.join(READABLE)}", todo="convert it")
    vertices, faces = _parse(_file_bytes(path), kind, path)
    if len(faces) == 0 or not np.isfinite(vertices).all() or faces.min() < 0 or faces.max() >= len(vertices):
        why = "it has no triangles, vertices that are not finite, or faces beyond the vertices"
        raise BadInput("unusable mesh", where=path, why=why, todo="repair or re-export it")
    return make_mesh(vertices, faces)


def read_points(path: Path) -> np.ndarray:
    """Points (N, 3) float64 of a PLY file, with or without faces. Raises InputMissing, BadInput."""
    import trimesh

    data = _file_bytes(path)
    try:
        loaded: Any = trimesh.load(io.BytesIO(data), file_type="ply", process=False)
        points = np.asarray(loaded.vertices, np.float64).reshape(-1, 3)
    except Exception as error:  # as in _parse
        raise BadInput("unreadable points", where=path, why=f"ply reader: {error}", todo="re-export them") from error
    if len(points) == 0 or not np.isfinite(points).all():
        raise BadInput("unusable points", where=path, why="there are none, or some are not finite")
    return points


def _file_bytes(path: Path) -> bytes:
    """The whole file, once a PLY header has been found not to promise more than it holds."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputMissing("mesh not found", where=path, todo="check the path") from error
    except OSError as error:
        raise BadInput("mesh cannot be read", where=path, why=str(error.strerror)) from error
    if path.suffix.lower() == ".ply":
        _check_counts(data, path)
    return data


def _parse(data: bytes, kind: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    import trimesh  # late: it takes a while

    options: dict[str, Any] = {"skip_materials": True} if kind == "obj" else {}
    try:
        loaded = trimesh.load_scene(io.BytesIO(data), file_type=kind, process=False, resolver=None, **options).to_mesh()
        return np.asarray(loaded.vertices, np.float64), np.asarray(loaded.faces, np.int32).reshape(-1, 3)
    except Exception as error:  # a parser fed with arbitrary bytes may raise anything
        raise BadInput("unreadable mesh", where=path, why=f"{kind} reader: {error}", todo="re-export it") from error


def _check_counts(data: bytes, path: Path) -> None:
    """Refuse a header that promises more elements than the file has bytes, before anything is allocated for
    them."""
    header, end, _ = data.partition(b"end_header")
    counts = [int(n) for n in re.findall(rb"element \w+ (\d{1,30})\s", header)]
    if not end or any(n > len(data) for n in counts):
        why = f"the header promises {max(counts, default=0)} elements, the file has {len(data)} bytes"
        raise BadInput("unreadable mesh", where=path, why=why, todo="re-export it")


def _parts(faces: np.ndarray, vertex_count: int) -> tuple[int, np.ndarray]:
    """Number of connected parts and the part of each vertex."""
    rows, columns = faces[:, :2].ravel(), faces[:, 1:].ravel()
    links = coo_matrix((np.ones(len(rows), np.uint8), (rows, columns)), shape=(vertex_count, vertex_count))
    return connected_components(links, directed=False)


def _volumes(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Signed volume between each face and the origin."""
    volumes = np.empty(len(faces))
    for start in range(0, len(faces), CHUNK):
        a, b, c = (vertices[faces[start : start + CHUNK, k]] for k in range(3))
        volumes[start : start + CHUNK] = np.einsum("fi,fi->f", a, np.cross(b, c)) / 6
    return volumes


def _vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    vectors = face_vectors(vertices, faces)
    total = np.zeros((len(vertices), 3))
    for axis in range(3):
        for corner in range(3):
            total[:, axis] += np.bincount(faces[:, corner], weights=vectors[:, axis], minlength=len(vertices))
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300)).astype(np.float32)


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
