"""Painted meshes: what is seen has the network's colours, what is not those of its neighbours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from taichi_idr.meshes.mesh import make_mesh
from taichi_idr.meshes.unseen import filled
from taichi_idr.painting.model import PaintedMesh
from taichi_idr.painting.networks import ColourNetwork, Sight
from taichi_idr.tracing.triangles import Surface
from taichi_idr.types import Rays


class Stripes(ColourNetwork):
    """Red is x, green is how much a place is seen head-on, blue is the light."""

    def forward(self, sight: Sight) -> Tensor:
        head_on = -(sight.directions * sight.normals).sum(dim=1)
        return torch.stack([(sight.points[:, 0] + 1) / 2, head_on, sight.light.to(head_on)], dim=1)


def square() -> Surface:
    """[-1, 1]^2 at z = 0 in two triangles, looking at +z."""
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    return Surface(make_mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32)))


def painted(faces: list[bool], vertices: list[bool], runtime) -> PaintedMesh:
    centres = torch.tensor([[0.0, 0, 5], [1, 0, 5]])
    seen = (torch.tensor(values, device=runtime.device) for values in (vertices, faces))
    return PaintedMesh(square(), Stripes(), centres, *seen)


def down(points: list[list[float]], runtime) -> Rays:
    ends = torch.tensor([[*point, 0.0] for point in points], device=runtime.device)
    towards = torch.tensor([0.0, 0, -1], device=runtime.device).expand_as(ends)
    return Rays(ends - 2 * towards, towards.contiguous())


def test_what_rays_see(runtime):
    mesh = painted([True, True], [True] * 4, runtime)
    mesh.light = 1
    rays = down([[0.5, -0.25], [-0.5, 0.25], [3, 0]], runtime)
    look = mesh.look(rays)
    expected = torch.tensor([[0.75, 1, 1], [0.25, 1, 1], [1, 1, 1]])
    torch.testing.assert_close(look.colour.cpu(), expected, rtol=0, atol=1e-6)
    assert look.hit.tolist() == [True, True, False] and look.depth.tolist() == [2, 2, torch.inf]
    torch.testing.assert_close(look.normal.cpu(), torch.tensor([[0.0, 0, 1], [0, 0, 1], [0, 0, 0]]))
    below = Rays(rays.origins * rays.origins.new_tensor([1, 1, -1]), -rays.directions)
    torch.testing.assert_close(mesh.look(below).normal.cpu()[0], torch.tensor([0.0, 0, -1]))


def test_a_face_that_no_photo_shows_has_the_colours_of_what_is_seen_nearest(runtime):
    """Vertices 0, 1 and 2 are seen nowhere, though a pixel has shown the first face; of the second all is filled in."""
    mesh = painted([True, False], [False] * 3 + [True], runtime)
    assert mesh.seen_faces.tolist() == [True, True]
    torch.testing.assert_close(mesh.vertex_colours[0], mesh.vertex_colours[3], rtol=0, atol=1e-3)
    mesh = painted([True, False], [False] * 4, runtime)
    assert mesh.seen_faces.tolist() == [True, False]
    look = mesh.look(down([[0.5, -0.5], [-0.5, 0.5]], runtime))
    between = mesh.vertex_colours[[0, 2, 3]].cpu()
    torch.testing.assert_close(look.colour[0, 0].cpu(), torch.tensor(0.75))
    expected = between[1] * 0.25 + between[0] * 0.25 + between[2] * 0.5
    torch.testing.assert_close(look.colour[1].cpu(), expected)


def test_each_light_has_vertex_colours_of_its_own(runtime):
    mesh = painted([True, True], [True] * 4, runtime)
    dark = mesh.colours_8_bit()
    mesh.light = 1
    assert dark[:, 2].tolist() == [0] * 4 and mesh.colours_8_bit()[:, 2].tolist() == [255] * 4
    np.testing.assert_array_equal(mesh.colours_8_bit()[:, 0], [0, 255, 255, 0])


def strip(length: int) -> tuple[Tensor, Tensor]:
    """Vertices (2 length, 3) and faces of a flat strip along x."""
    along, across = torch.meshgrid(torch.arange(length), torch.arange(2), indexing="ij")
    points = torch.stack([along, across, 0 * along], dim=-1).view(-1, 3).double()
    a = 2 * torch.arange(length - 1)
    return points, torch.cat([torch.stack([a, a + 2, a + 1], dim=1), torch.stack([a + 1, a + 2, a + 3], dim=1)])


def test_colours_between_two_ends_change_evenly():
    """A membrane over a strip is linear along it."""
    points, faces = strip(21)
    seen = (points[:, 0] == 0) | (points[:, 0] == 20)
    true = points[:, :1].expand(-1, 3) / 20
    result = filled(torch.where(seen[:, None], true, torch.nan), points, faces, seen)
    torch.testing.assert_close(result[seen], true[seen], rtol=0, atol=0)
    torch.testing.assert_close(result, true, rtol=0, atol=0.025)  # diagonals pull to one side, measured 0.018


def test_a_part_of_which_nothing_is_seen_has_the_nearest_colours(generator):
    points, faces = strip(11)
    count = len(points)
    both = torch.cat([points, points + torch.tensor([0, 0, 3.0])])
    colours = torch.rand(2 * count, 3, generator=generator).double()
    seen = torch.arange(2 * count) < count
    result = filled(colours, both, torch.cat([faces, faces + count]), seen)
    assert (result >= colours[seen].min(dim=0).values - 1e-6).all()
    assert (result <= colours[seen].max(dim=0).values + 1e-6).all()
    one = torch.arange(2 * count) == 7
    alone = filled(colours, both, torch.cat([faces, faces + count]), one)
    torch.testing.assert_close(alone, colours[7].expand(2 * count, 3), rtol=0, atol=1e-3)


def test_nothing_to_fill():
    points, faces = strip(4)
    nothing = torch.zeros(8, dtype=torch.bool)
    assert filled(points, points, faces, nothing) is points and filled(points, points, faces, ~nothing) is points
