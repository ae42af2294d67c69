"""A mesh in a picture: every face has its place, and none lies on another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from taichi_idr.meshes.charts import unwrapped
from taichi_idr.meshes.mesh import make_mesh
from taichi_idr.ops.chart_raster import rasterise_charts
from taichi_idr.reference import chart_raster as reference

SHAPES = {
    "ball": trimesh.creation.icosphere(3),
    "box": trimesh.creation.box().subdivide().subdivide(),
    "rings": trimesh.util.concatenate([trimesh.creation.torus(1, 0.3).apply_translation((x, 0, 0)) for x in (0, 3)]),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_faces_lie_beside_each_other(name: str, scale: float, runtime) -> None:
    shape = SHAPES[name]
    mesh = make_mesh(np.asarray(shape.vertices) * scale, np.asarray(shape.faces, np.int32))
    atlas = unwrapped(mesh, 256)
    assert (atlas.vertex[atlas.corners] == mesh.faces).all()
    assert (atlas.uv >= 0).all() and (atlas.uv <= 1).all() and atlas.height == atlas.width == 256
    corners = atlas.places[atlas.corners]
    (x1, y1), (x2, y2) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    flat = np.abs(x1 * y2 - x2 * y1) / 2
    solid = (
        np.linalg.norm(
            np.cross(*(mesh.vertices[mesh.faces[:, k]] - mesh.vertices[mesh.faces[:, 0]] for k in (1, 2))), axis=1
        )
        / 2
    )
    ratio = flat / solid
    assert ratio.min() > 0.4 * np.median(ratio)  # no face is left without room
    # Those of one texel, seen from the first and from the last: an overlap would have two.
    forth = rasterise_charts(torch.from_numpy(corners), 256, 256).cpu()
    back = len(corners) - 1 - rasterise_charts(torch.from_numpy(corners[::-1].copy()), 256, 256).cpu()
    assert ((forth != back) & (forth >= 0)).float().mean() < 0.002
    assert 0.25 < (forth >= 0).float().mean() < 1
    few = torch.from_numpy(corners).float()
    assert (reference.rasterise_charts(few, 8, 256) != forth[:8]).float().mean() < 0.01


def test_charts_of_a_large_texture_are_eight_texels_apart() -> None:
    ball = trimesh.creation.icosphere(5)
    mesh = make_mesh(np.asarray(ball.vertices), np.asarray(ball.faces, np.int32))
    for size in (1024, 4096):
        atlas = unwrapped(mesh, size)
        assert atlas.apart >= 8, size
