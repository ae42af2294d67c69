"""Poses that train with the shape (CAM-4), and the optimiser that moves those of a batch (CAM-5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..cameras.pinhole import inverse_intrinsics
from ..cameras.rotations import rotated, rotation_matrices
from ..config import CamerasConfig
from ..ops.raygen import generate_rays
from ..types import Cameras, Rays


class Poses(nn.Module):
    """Per view a quaternion and a place: the camera's centre c, or the origin seen from the camera, t = -R^T c.

    With t, moving a camera around the object is a change of the quaternion alone, with c one of both at once
    (docs/decisions/0009-gauss-newton-poses.md). Parameters are float64: steps of 1e-7 count.
    """

    def __init__(self, cameras: Cameras, config: CamerasConfig, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.config, self.dtype = config, dtype
        self.start = cameras.to(torch.float64)
        self.inverse_intrinsics = inverse_intrinsics(self.start).to(device, dtype)
        quaternions, centres = (x.to(device).clone() for x in (self.start.quaternions, self.start.centres))
        places = centres if config.parameters == "centre" else _origin_seen(quaternions, centres)
        self.quaternions = nn.Parameter(quaternions, requires_grad=config.train)
        self.places = nn.Parameter(places, requires_grad=config.train)
        self._posed: tuple[Tensor, Tensor] | None = None  # quaternions and centres for rays, where fixed

    @property
    def centres(self) -> Tensor:
        """c (V, 3), attached to the parameters."""
        if self.config.parameters == "centre":
            return self.places
        return -(rotation_matrices(self.quaternions) @ self.places[:, :, None])[:, :, 0]

    def rays(self, view: Tensor, position: Tensor) -> Rays:
        """Rays (R,) through pixels position (R, 2) of views (R,) int32, attached to the poses."""
        posed = self._posed or (self.quaternions.to(self.dtype), self.centres.to(self.dtype))
        if not self.config.train:
            self._posed = posed
        return Rays(*generate_rays(*posed, self.inverse_intrinsics, view, position))

    @torch.no_grad()
    def move(self, views: Tensor, turn: Tensor, shift: Tensor) -> None:
        """Turn cameras `views` (B,) about their centres by rotation vectors (B, 3), then shift them by (B, 3)."""
        centres = self.centres[views] + shift
        self.quaternions[views] = rotated(self.quaternions[views], turn)
        own = self.config.parameters == "centre"
        self.places[views] = centres if own else _origin_seen(self.quaternions[views], centres)

    @torch.no_grad()
    def set(self, cameras: Cameras) -> None:
        """Take over quaternions and centres; intrinsics stay."""
        self.quaternions.copy_(cameras.quaternions)
        own = self.config.parameters == "centre"
        centres = cameras.centres.to(self.quaternions.device)
        self.places.copy_(centres if own else _origin_seen(self.quaternions, centres))

    @torch.no_grad()
    def cameras(self) -> Cameras:
        """A copy of the cameras as they are now, float64; without training exactly those of the start."""
        if not self.config.train:
            return self.start
        quaternions = torch.nn.functional.normalize(self.quaternions, dim=1)
        return Cameras(quaternions.cpu(), self.centres.cpu().clone(), self.start.intrinsics)


def _origin_seen(quaternions: Tensor, centres: Tensor) -> Tensor:
    """t (V, 3) = -R^T c."""
    return -(rotation_matrices(quaternions).transpose(1, 2) @ centres[:, :, None])[:, :, 0]
