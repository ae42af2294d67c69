"""Meshes of a run: fine ones, and light ones to take away."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..cameras.pinhole import projections
from ..capture.exposure import exposed
from ..errors import Diverged, UsageError
from ..meshes.charts import unwrapped
from ..meshes.colours import vertex_colours, viewing_directions
from ..meshes.cutting import cut_away
from ..meshes.extraction import MeshReport, extract_mesh
from ..meshes.mesh import BodyCount, Mesh, area, transformed
from ..meshes.texture import Texture
from ..meshes.wanted import Cut, LightOptions
from ..pictures.rendering import render_view
from ..texturing.baking import baked, fitting_size
from ..texturing.field import PaintedField
from ..texturing.light import LightReport, light_mesh, sample_step
from ..texturing.photos import Detail, photo_detail
from ..tracing.triangles import Surface
from .loading import LoadedRun
from .surface import run_surface
from .views import training_views

EVERYTHING = Cut()
REACH = 3.0  # samples of the fine mesh: how far from the light one its surface may be
LOOKED_AT = 2000  # vertices whose distance from the cameras is taken


@dataclass(frozen=True)
class Mesher:
    """The surface of a run, or what a cut leaves of it, as meshes in the world frame."""

    loaded: LoadedRun
    bodies: BodyCount = "main"
    cut: Cut = EVERYTHING

    def fine(self, resolution: int, *, coloured: bool = True) -> tuple[Mesh, MeshReport]:
        """As `extract_mesh` has it. Raises Diverged where there is no surface, UsageError where the cut leaves none."""
        model, T = self.loaded.model, self.loaded.T_world_normalised
        surface = run_surface(self.loaded)
        try:
            return extract_mesh(
                cut_away(surface, self.cut, T) if self.cut else surface,
                resolution=resolution,
                T_world_normalised=T,
                radius=model.radius,
                bodies=self.bodies,
                colour=self._colour if coloured else None,
                is_distance=model.is_distance,
            )
        except Diverged as error:
            if not self.cut:
                raise
            todo = "are they in the capture's frame and unit?"
            raise UsageError("nothing of the object is left", where="--box, --plane", todo=todo) from error

    def light(self, fine: Mesh, options: LightOptions) -> tuple[Mesh, LightReport]:
        """The light mesh of a fine one."""
        return light_mesh(
            fine,
            options,
            texture=lambda light: self._texture(light, options, fine),
            colours=lambda light: vertex_colours(self._normalised(light), self._colour),
        )

    def _colour(self, points: Tensor, normals: Tensor) -> Tensor:
        return self.loaded.model.colour(points, viewing_directions(points, normals, self._centres.to(points)))

    @property
    def _centres(self) -> Tensor:
        return self.loaded.cameras.centres

    def _normalised(self, mesh: Mesh) -> Mesh:
        return transformed(mesh, np.linalg.inv(self.loaded.T_world_normalised))

    def _texture(self, light: Mesh, options: LightOptions, fine: Mesh) -> Texture:
        mesh = self._normalised(light)
        size = options.texture if isinstance(options.texture, int) else self._fitting_size(mesh)
        model, reach = self.loaded.model, REACH * sample_step(fine) / self.loaded.unit
        field = PaintedField(model.surface, model.gradient, model.colour, self._centres, reach)
        surface = Surface(mesh)
        detail = self._detail(surface) if options.source == "photos" else None
        more = {"detail": detail, "normal_map": options.normal_map}
        texture = baked(surface, unwrapped(mesh, size), field, self.loaded.cameras, **more)
        return transformed(replace(mesh, texture=texture), self.loaded.T_world_normalised).texture or texture

    def _detail(self, surface: Surface) -> Detail:
        """Of the photos of the run. Raises InputMissing, BadInput where they are gone or others."""
        model, views = self.loaded.model, training_views(self.loaded)
        stops, capture = self.loaded.stops, views.capture
        photos = [image.astype(np.float32) / 255 for image in capture.images]
        if stops is not None:
            photos = [exposed(photo, -own) for photo, own in zip(photos, stops, strict=True)]

        def rendered(view: int) -> tuple[np.ndarray, np.ndarray]:
            found = render_view(model, views.cameras[[view]], *capture.masks[view].shape, within=capture.masks[view])
            return found.colour, found.hit

        return photo_detail(surface, views.cameras, photos, capture.masks, rendered)

    def _fitting_size(self, mesh: Mesh) -> int:
        """As fine as the nearest photos show the mesh, normalised frame."""
        vertices = torch.from_numpy(mesh.vertices[:: max(len(mesh.vertices) // LOOKED_AT, 1)])
        cameras = self.loaded.cameras
        P = projections(cameras)
        depth = torch.einsum("vj,nj->vn", P[:, 2, :3], vertices) + P[:, 2, 3:]
        focal = cameras.intrinsics[:, [0, 1], [0, 1]].mean(dim=1, keepdim=True)
        footprint = (depth / focal).clamp_min(0).amin(dim=0).median()
        return fitting_size(area(mesh.vertices, mesh.faces), float(footprint))
