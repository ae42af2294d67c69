"""Wavefront OBJ, with what a mesh was made of as comments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .mesh import Mesh


def obj_bytes(mesh: Mesh, library: str | None = None) -> bytes:
    """Lines `v x y z`, or `v x y z r g b` in [0, 1] where it has colours and no texture, as MeshLab began it; `vt`;
    `vn`; `f`.

    Positions have as many digits as bring the same double back, 17 at most. library: the file of `mtl_text`.
    """
    return "\n".join([*_lines(mesh, library), ""]).encode()


def mtl_text(mesh: Mesh, colours: str, normals: str | None) -> str:
    """The material of a textured mesh, whose pictures have these names."""
    lines = ["newmtl surface", "Kd 1 1 1", "Ks 0 0 0", "illum 1", f"map_Kd {colours}"]
    return "\n".join([*lines, *([f"norm {normals}"] if normals else []), ""])


def _lines(mesh: Mesh, library: str | None) -> Iterator[str]:
    yield from (f"# {name} {value}" for name, value in mesh.origin().items())
    if library:
        yield from (f"mtllib {library}", "usemtl surface")
    positions = (f"v {x!r} {y!r} {z!r}" for x, y, z in mesh.vertices.tolist())
    if mesh.colours is None or mesh.texture is not None:
        yield from positions
    else:
        shares = np.array([f"{level / 255:.6g}" for level in range(256)])[mesh.colours].tolist()
        yield from (f"{position} {' '.join(share)}" for position, share in zip(positions, shares, strict=True))
    yield from (f"vn {x:.9g} {y:.9g} {z:.9g}" for x, y, z in mesh.normals.tolist())
    if mesh.texture is None:
        yield from (f"f {a}//{a} {b}//{b} {c}//{c}" for a, b, c in (mesh.faces + 1).tolist())
        return
    atlas = mesh.texture.atlas
    yield from (f"vt {u:.8g} {1 - v:.8g}" for u, v in atlas.uv.tolist())
    corners = np.concatenate([mesh.faces, atlas.corners], axis=1) + 1
    yield from (f"f {a}/{i}/{a} {b}/{j}/{b} {c}/{k}/{c}" for a, b, c, i, j, k in corners.tolist())
