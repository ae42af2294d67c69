"""Wavefront OBJ, with what a mesh was made of as comments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .mesh import Mesh


def obj_bytes(mesh: Mesh) -> bytes:
    """Lines `v x y z`, or `v x y z r g b` in [0, 1] where it has colours, as MeshLab began it; `vn`; `f`.

    Positions have as many digits as bring the same double back, 17 at most.
    """
    return "\n".join([*_lines(mesh), ""]).encode()


def _lines(mesh: Mesh) -> Iterator[str]:
    yield from (f"# {name} {value}" for name, value in mesh.origin().items())
    positions = (f"v {x!r} {y!r} {z!r}" for x, y, z in mesh.vertices.tolist())
    if mesh.colours is None:
        yield from positions
    else:
        shares = np.array([f"{level / 255:.6g}" for level in range(256)])[mesh.colours].tolist()
        yield from (f"{position} {' '.join(share)}" for position, share in zip(positions, shares, strict=True))
    yield from (f"vn {x:.9g} {y:.9g} {z:.9g}" for x, y, z in mesh.normals.tolist())
    yield from (f"f {a}//{a} {b}//{b} {c}//{c}" for a, b, c in (mesh.faces + 1).tolist())
