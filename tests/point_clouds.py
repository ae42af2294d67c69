"""Clouds of known shapes, and files of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from taichi_idr.clouds.cloud import Cloud

TORUS = (0.7, 0.25)


def sphere(count: int, generator: np.random.Generator, radius: float = 1.0) -> Cloud:
    """Points on a sphere, with normals."""
    normals = generator.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Cloud(radius * normals, normals.astype(np.float32))


def torus(count: int, generator: np.random.Generator) -> Cloud:
    """Points on the torus around z, with normals; evenly in its angles."""
    around, along = generator.random((2, count)) * 2 * np.pi
    outwards = np.stack([np.cos(around), np.sin(around), np.zeros(count)], axis=1)
    normals = np.cos(along)[:, None] * outwards + np.sin(along)[:, None] * np.array([0, 0, 1.0])
    return Cloud(TORUS[0] * outwards + TORUS[1] * normals, normals.astype(np.float32))


def box(count: int, generator: np.random.Generator, half: tuple[float, float, float]) -> Cloud:
    """Points on a box, evenly, with normals."""
    areas = np.array([half[1] * half[2], half[0] * half[2], half[0] * half[1]])
    axis = generator.choice(3, count, p=areas / areas.sum())
    side = generator.choice([-1.0, 1.0], count)
    normals = np.zeros((count, 3))
    normals[np.arange(count), axis] = side
    points = (2 * generator.random((count, 3)) - 1) * half
    points[np.arange(count), axis] = side * np.array(half)[axis]
    return Cloud(points, normals.astype(np.float32))


def torus_distance(points: np.ndarray) -> np.ndarray:
    """Signed, of points (N, 3)."""
    ring = np.linalg.norm(points[:, :2], axis=1) - TORUS[0]
    return np.hypot(ring, points[:, 2]) - TORUS[1]


def write_ply(path: Path, cloud: Cloud, order: str = "binary_little_endian", kind: str = "double") -> Path:
    """A PLY file of a cloud, with what it has."""
    columns = [(name, kind, cloud.points[:, i]) for i, name in enumerate("xyz")]
    if cloud.normals is not None:
        columns += [(name, "float", cloud.normals[:, i]) for i, name in enumerate(("nx", "ny", "nz"))]
    if cloud.colours is not None:
        columns += [(name, "uchar", cloud.colours[:, i]) for i, name in enumerate(("red", "green", "blue"))]
    header = ["ply", f"format {order} 1.0", "comment a cloud", f"element vertex {len(cloud)}"]
    header += [f"property {word} {name}" for name, word, _ in columns]
    if order == "ascii":
        rows = zip(*(values.tolist() for _, _, values in columns), strict=True)
        body = "".join(" ".join(map(repr, row)) + "\n" for row in rows).encode()
    else:
        sign = "<" if "little" in order else ">"
        codes = {"double": "f8", "float": "f4", "uchar": "u1"}
        table = np.empty(len(cloud), [(name, sign + codes[word]) for name, word, _ in columns])
        for name, _, values in columns:
            table[name] = values
        body = table.tobytes()
    path.write_bytes("\n".join([*header, "end_header", ""]).encode() + body)
    return path


def write_las(path: Path, cloud: Cloud) -> Path:
    """A LAS file, or LAZ by its suffix, of a coloured cloud."""
    laspy = pytest.importorskip("laspy")
    assert cloud.colours is not None
    header = laspy.LasHeader(point_format=2, version="1.2")
    header.offsets, header.scales = cloud.points[0], np.full(3, 1e-6)
    file = laspy.LasData(header)
    file.x, file.y, file.z = cloud.points.T
    file.red, file.green, file.blue = (cloud.colours.astype(np.uint16) * 257).T
    file.write(str(path))
    return path
