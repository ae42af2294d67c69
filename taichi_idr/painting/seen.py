"""Which pixels of photos show which places of a mesh, clearly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from .. import runtime
from ..cameras.pinhole import inverse_intrinsics, pixel_angle, projections
from ..ops.raygen import generate_rays
from ..tracing.triangles import Surface
from ..types import Cameras, Capture, Rays
from .settings import SeenConfig

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Samples:
    """N pixels that show the mesh clearly: points (N, 3), face (N,) int32, view (N,) int32, colours (N, 3) uint8."""

    points: Tensor
    face: Tensor
    view: Tensor
    colours: Tensor

    def __len__(self) -> int:
        return len(self.view)


@dataclass(frozen=True)
class Shown:
    """What a photo (H, W) shows of the mesh. depth along the unit rays, inf where missed; face, -1 where missed; clear:
    whether the pixel is sure to show the surface there; facing: |n.v|, 0 where missed; usable: whether the photo's
    pixel is of the object."""

    depth: Tensor
    face: Tensor
    clear: Tensor
    facing: Tensor
    usable: Tensor

    @property
    def seen(self) -> Tensor:
        """Pixels of the object whose rays meet the mesh."""
        return self.usable & self.depth.isfinite()


@dataclass(frozen=True)
class Seen:
    """Of all photos: samples; vertices (V,), how many photos show each clearly; pixels (views, 3), of each photo those
    that meet the mesh, those of the object, and those that are both."""

    samples: Samples
    vertices: Tensor
    pixels: Tensor


def look_through(surface: Surface, capture: Capture, config: SeenConfig, generator: torch.Generator) -> Seen:
    """Cast a ray through each pixel of each photo of a capture, whose normalised frame is the surface's."""
    most = max(config.samples // len(capture), 1)
    parts, counts = [], torch.zeros(len(surface.mesh.vertices), dtype=torch.int32, device=surface.normals.device)
    pixels = []
    for view in range(len(capture)):
        camera, rays = capture.cameras[[view]], view_rays(capture.cameras[[view]], capture.masks[view].shape)
        shown = shown_in(surface, rays, camera, usable_pixels(capture, view), config)
        counts += clear_vertices(surface, shown, camera, config)
        parts.append(_sampled(shown, rays, capture.images[view], view, most, generator))
        met = shown.depth.isfinite()
        pixels.append(torch.stack([met.sum(), shown.usable.sum(), shown.seen.sum()]))
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Seen(Samples(*map(torch.cat, columns)), counts, torch.stack(pixels))


def usable_pixels(capture: Capture, view: int) -> np.ndarray:
    """(H, W) bool: of the object, and not to be ignored."""
    ignored = capture.ignored[view] if capture.ignored else None
    return capture.masks[view] if ignored is None else capture.masks[view] & ~ignored


@torch.no_grad()
def view_rays(camera: Cameras, shape: tuple[int, ...]) -> Rays:
    """Rays (H W,) through all pixels of one camera, row by row."""
    target = {"dtype": runtime.current().dtype, "device": runtime.current().device}
    row, column = torch.meshgrid(torch.arange(shape[0]), torch.arange(shape[1]), indexing="ij")
    pixels = torch.stack([column, row], dim=-1).view(-1, 2).to(**target)
    parts = (camera.quaternions.to(**target), camera.centres.to(**target), inverse_intrinsics(camera).to(**target))
    view = torch.zeros(len(pixels), dtype=torch.int32, device=pixels.device)
    return Rays(*generate_rays(*parts, view, pixels))


def shown_in(surface: Surface, rays: Rays, camera: Cameras, usable: np.ndarray, config: SeenConfig) -> Shown:
    """What a photo shows whose pixels `usable` (H, W) are of the object."""
    shape = usable.shape
    met = surface.meet(rays)
    normal = surface.flat_normals(met.face.clamp_min(0))
    slant = torch.where(met.hit, (normal * rays.directions).sum(dim=1), 0.0)
    object_pixel = torch.from_numpy(usable).to(met.depth.device)
    steps = _steps(rays, met.depth, normal, slant, shape, config.step * pixel_angle(camera))
    unsure = steps | ~object_pixel | ~met.hit.view(shape)
    if config.margin:
        reach = 2 * config.margin + 1
        unsure = max_pool2d(unsure[None, None].float(), reach, 1, config.margin)[0, 0] > 0
    facing = slant.abs().view(shape)
    clear = ~unsure & (facing >= config.grazing)
    return Shown(met.depth.view(shape), met.face.view(shape), clear, facing, object_pixel)


def clear_vertices(surface: Surface, shown: Shown, camera: Cameras, config: SeenConfig) -> Tensor:
    """Whether the pixel nearest to each vertex shows it clearly, (V,) bool."""
    vertices = torch.from_numpy(surface.mesh.vertices).to(shown.depth.device)
    projected = vertices @ projections(camera)[0, :, :3].T.to(vertices) + projections(camera)[0, :, 3].to(vertices)
    place = (projected[:, :2] / projected[:, 2:]).round()
    height, width = shown.depth.shape
    inside = (projected[:, 2] > 0) & (place >= 0).all(dim=1) & (place[:, 0] < width) & (place[:, 1] < height)
    column, row = torch.where(inside[:, None], place, 0).long().unbind(1)
    distance = (vertices - camera.centres[0].to(vertices)).norm(dim=1)
    gap = (distance - shown.depth[row, column]).abs()
    allowed = config.step * pixel_angle(camera) * distance / shown.facing[row, column].clamp_min(config.grazing)
    return inside & shown.clear[row, column] & (gap < allowed)


def _steps(rays: Rays, depth: Tensor, normal: Tensor, slant: Tensor, shape: tuple[int, ...], allowed: float) -> Tensor:
    """Pixels (H, W) with a neighbour that does not lie on their tangent plane, by `allowed` times the depth along the
    neighbour's ray."""
    directions, normals = rays.directions.view(*shape, 3), normal.view(*shape, 3)
    depths, slants = depth.view(shape), slant.view(shape)
    found = torch.zeros(shape, dtype=torch.bool, device=depth.device)
    for down, right in NEIGHBOURS:
        here, there = _overlap(shape, down, right), _overlap(shape, -down, -right)
        towards = (normals[here] * directions[there]).sum(dim=2)
        expected = depths[here] * slants[here] / towards
        found[here] |= ~((depths[there] - expected).abs() < allowed * depths[here])
    return found


def _overlap(shape: tuple[int, ...], down: int, right: int) -> tuple[slice, slice]:
    """Of a picture those pixels that have a neighbour so far down and to the right."""
    height, width = shape
    return slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0))


def _sampled(shown: Shown, rays: Rays, image: np.ndarray, view: int, most: int, generator: torch.Generator) -> Samples:
    """The clear pixels of a photo, or `most` of them at random."""
    index = torch.nonzero(shown.clear.flatten())[:, 0]
    if len(index) > most:
        index = index[torch.randperm(len(index), generator=generator)[:most].to(index.device)]
    depth, face = shown.depth.flatten()[index], shown.face.flatten()[index]
    colours = torch.from_numpy(image.reshape(-1, 3)).to(index.device)[index]
    view_number = torch.full_like(face, view, dtype=torch.int32)
    return Samples(rays[index].at(depth), face.int(), view_number, colours)
