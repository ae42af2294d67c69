"""Textures of a field whose colours and normals are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from ball_run import HEIGHT, WIDTH, BallModel, around
from torch import Tensor
from torch.nn.functional import normalize

from taichi_idr.meshes.charts import unwrapped
from taichi_idr.meshes.mesh import Mesh, make_mesh
from taichi_idr.painting.seen import view_rays
from taichi_idr.pictures.rendering import render_view
from taichi_idr.texturing.baking import LARGEST, SMALLEST, baked, fitting_size
from taichi_idr.texturing.field import PaintedField
from taichi_idr.texturing.photos import Detail, photo_detail
from taichi_idr.texturing.texels import TexelGrid
from taichi_idr.texturing.usual import usual_colours
from taichi_idr.tracing.triangles import Surface
from taichi_idr.types import Cameras

RADIUS = 0.5


def rough_ball(subdivisions: int = 2) -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions, RADIUS)
    return make_mesh(np.asarray(ball.vertices), np.asarray(ball.faces, np.int32))


def all_around() -> Cameras:
    parts = [around(6, elevation=elevation) for elevation in (-1.2, -0.3, 0.5, 1.2)]
    return Cameras(*(torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def field(cameras: Cameras, colour: Any = None) -> PaintedField:
    model: Any = BallModel(RADIUS)
    return PaintedField(model.surface, model.gradient, colour or model.colour, cameras.centres, 0.1)


def test_texels_have_the_colours_of_the_surface_behind_them(runtime) -> None:
    """Of a ball of 320 faces, whose middles lie 2 % below the surface."""
    cameras, mesh = all_around(), rough_ball()
    atlas = unwrapped(mesh, 256)
    texture = baked(Surface(mesh), atlas, field(cameras), cameras)
    grid = TexelGrid(Surface(mesh), atlas)
    expected = torch.cat([0.5 + 0.4 * normalize(texels.points, dim=1) for texels in grid])
    found = texture.colours.reshape(-1, 3)[grid.index.cpu()] / 255
    np.testing.assert_allclose(found, expected.cpu(), atol=0.004)
    assert texture.normals is None and texture.colours.shape == (256, 256, 3)


def test_texels_outside_have_the_colours_of_the_nearest(runtime) -> None:
    mesh = rough_ball()
    grid = TexelGrid(Surface(mesh), unwrapped(mesh, 128))
    places = np.stack(np.unravel_index(grid.index.cpu().numpy(), grid.shape), axis=1)
    picture = grid.picture(places.astype(np.int32))
    off = (picture - np.stack(np.indices(grid.shape), axis=2)).astype(float)
    inside = (grid.face >= 0).view(grid.shape).cpu().numpy()
    assert (off[inside] == 0).all() and (np.linalg.norm(off[~inside], axis=1) >= 1).all()
    assert np.linalg.norm(off, axis=2).max() < 64


def test_a_normal_map_brings_the_round_shape_back(runtime) -> None:
    """A shader mixes tangents and normals of the corners and adds up what the map says."""
    cameras, mesh = all_around(), rough_ball(1)
    atlas = unwrapped(mesh, 256)
    texture = baked(Surface(mesh), atlas, field(cameras), cameras, normal_map=True)
    assert texture.normals is not None and texture.tangents is not None
    surface = Surface(mesh)
    grid = TexelGrid(surface, atlas)
    (texels,) = list(grid)
    rows = torch.from_numpy(texture.tangents).to(texels.points)[
        torch.from_numpy(atlas.corners).long()[texels.face.cpu()]
    ]
    tangent = normalize((texels.shares[..., None] * rows[..., :3]).sum(dim=1), dim=1)
    bitangent = torch.linalg.cross(texels.normals, tangent) * rows[:, 0, 3:]
    map_ = torch.from_numpy(texture.normals.reshape(-1, 3)).to(tangent)[grid.index] / 255 * 2 - 1
    shaded = normalize(map_[:, :1] * tangent + map_[:, 1:2] * bitangent + map_[:, 2:] * texels.normals, dim=1)
    true = normalize(texels.points, dim=1)
    flat = surface.flat_normals(texels.face)

    def degrees(normals: Tensor) -> float:
        return float(torch.rad2deg((normals * true).sum(dim=1).clamp(-1, 1).arccos()).mean())

    assert degrees(flat) > 5 and degrees(shaded) < 0.5
    handed = texture.tangents[:, 3]
    assert set(np.unique(handed)) <= {-1.0, 1.0}


def test_what_shines_has_the_colour_that_most_cameras_see(runtime) -> None:
    """White where a camera looks nearly along the normal, dark else: seen squarely it would be white all over."""
    cameras, mesh = all_around(), rough_ball(3)

    def shiny(points: Tensor, directions: Tensor) -> Tensor:
        facing = -(normalize(points, dim=1) * directions).sum(dim=1, keepdim=True)
        return torch.where(facing > 0.9, 1.0, 0.2).expand(-1, 3)

    texture = baked(Surface(mesh), unwrapped(mesh, 128), field(cameras, shiny), cameras)
    assert np.median(texture.colours) == round(0.2 * 255)


def test_where_no_camera_looks_colours_are_those_of_the_border(runtime) -> None:
    """Cameras above see nothing below; what the field says there is not believed."""
    cameras, mesh = around(6, elevation=0.9), rough_ball(3)

    def two(points: Tensor, directions: Tensor) -> Tensor:
        return torch.where(points[:, 2:] < -0.3, 1.0, 0.25).expand(-1, 3)

    usual = usual_colours(Surface(mesh), field(cameras, two), cameras)
    below = torch.from_numpy(mesh.vertices)[:, 2] < -0.45
    assert not usual.seen.cpu()[below].any()
    torch.testing.assert_close(
        usual.guess.cpu()[below], torch.full_like(usual.guess.cpu()[below], 0.25), atol=0.02, rtol=0
    )


def test_the_field_is_not_asked_for_colours_that_are_guessed(runtime) -> None:
    cameras, mesh = around(6, elevation=0.9), rough_ball(3)
    surface, lowest, model = Surface(mesh), 0.0, BallModel(RADIUS)

    def noted(points: Tensor, directions: Tensor) -> Tensor:
        nonlocal lowest
        if len(points) != len(mesh.vertices):  # all vertices are asked for, to begin with
            lowest = min(lowest, float(points[:, 2].min()))
        return model.colour(points, directions)

    texture = baked(surface, unwrapped(mesh, 128), field(cameras, noted), cameras)
    seen = usual_colours(surface, field(cameras), cameras).seen.cpu().numpy()
    border = mesh.vertices[mesh.faces[seen[mesh.faces].any(axis=1)].ravel()][:, 2].min()
    assert -RADIUS < border - 0.01 < lowest < 0
    assert texture.colours.min() > 0


@pytest.mark.parametrize(
    ("area", "footprint", "size"), [(1.0, 1e-3, 2048), (1.0, 1e-6, LARGEST), (1e-4, 1e-2, SMALLEST)]
)
def test_a_texture_is_as_fine_as_the_photos(area: float, footprint: float, size: int) -> None:
    assert fitting_size(area, footprint) == size


def test_detail_of_photos_is_added_where_they_show_it(runtime) -> None:
    """A field of one colour, and photos with fine rings that it has not; wide differences of light are left out."""
    cameras, mesh = all_around(), rough_ball(4)
    surface, rings = Surface(mesh), 60.0

    def true(points: Tensor) -> Tensor:
        return 0.5 + 0.2 * (rings * points[:, 2:]).sin().expand(-1, 3)

    photos, masks, plain = [], [], []
    for view in range(len(cameras)):
        camera = enlarged(cameras[[view]])
        rendered = render_view(BallModel(RADIUS), camera, 4 * HEIGHT, 4 * WIDTH)
        rays = view_rays(camera, rendered.hit.shape)
        colour = true(rays.at(torch.from_numpy(rendered.depth).view(-1).to(rays.origins))).nan_to_num().cpu().numpy()
        brighter = 0.15 if view % 2 else 0.0
        photos.append(
            np.where(rendered.hit[..., None], colour.reshape(*rendered.hit.shape, 3) + brighter, 1).astype("f4")
        )
        masks.append(rendered.hit)
        plain.append(np.full_like(photos[-1], 0.5))
    large = enlarged(cameras)
    detail = photo_detail(surface, large, photos, masks, lambda view: (plain[view], masks[view]))
    sums = detail.weights.sum(dim=1)
    assert ((sums - 1).abs() < 1e-5).float().mean() > 0.95
    grey = field(large, lambda points, directions: torch.full_like(points, 0.5))
    atlas = unwrapped(mesh, 512)
    grid = TexelGrid(surface, atlas)
    expected = torch.cat([true(RADIUS * normalize(texels.points, dim=1)) for texels in grid]).cpu().numpy()

    def error(detail: Detail | None) -> float:
        texture = baked(surface, atlas, grey, large, detail=detail)
        return float(np.abs(texture.colours.reshape(-1, 3)[grid.index.cpu()] / 255 - expected).mean())

    assert error(detail) < 0.35 * error(None)


def enlarged(cameras: Cameras) -> Cameras:
    K = cameras.intrinsics.clone()
    K[:, :2] *= 4
    K[:, :2, 2] += 1.5
    return Cameras(cameras.quaternions, cameras.centres, K)
