"""A field sampled on a regular lattice."""

from __future__ import annotations

import torch
from torch import Tensor

from ..fields.sample import CHUNK
from ..types import Sdf


class ProxyLattice:
    """`values` (M, M, M): a field sampled at x = -1 + 2 (i, j, k) / (M - 1)."""

    def __init__(self, resolution: int, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.resolution = resolution
        self.values = torch.full((resolution,) * 3, torch.nan, device=device, dtype=dtype)

    @property
    def cell(self) -> float:
        """Edge of a cell, normalised units."""
        return 2 / (self.resolution - 1)

    def refresh(self, sdf: Sdf) -> None:
        """Sample the field everywhere."""
        self._evaluate(sdf, torch.arange(self.values.numel(), device=self.values.device))

    def refresh_near_surface(
        self, sdf: Sdf, band: float, *, sweep: int = 0, sweeps: int = 0, possible: Tensor | None = None
    ) -> None:
        """Sample anew where the known value is below `band` cells: elsewhere no ray is decided.

        With sweeps > 0 also every sweeps-th other point, those of turn `sweep`: what grows away from the surface (a
        speck in the air, behind the known one) is found within `sweeps` calls, and the mask loss can remove it.
        possible (M, M, M) bool: where a surface can be at all; the sweep leaves other points out.
        """
        wanted = self.values.view(-1).abs() < band * self.cell
        if sweeps:
            turn = slice(sweep % sweeps, None, sweeps)
            wanted[turn] |= torch.ones_like(wanted[turn]) if possible is None else possible.view(-1)[turn]
        self._evaluate(sdf, wanted.nonzero()[:, 0])

    def refined(self, sdf: Sdf, resolution: int, band: float) -> ProxyLattice:
        """A finer lattice: interpolated from this one, then sampled anew near the surface."""
        finer = ProxyLattice(resolution, self.values.device, self.values.dtype)
        finer.values = torch.nn.functional.interpolate(
            self.values[None, None], size=(resolution,) * 3, mode="trilinear", align_corners=True
        )[0, 0].contiguous()
        finer.refresh_near_surface(sdf, band * self.cell / finer.cell)
        return finer

    def places(self) -> Tensor:
        """All points (M^3, 3) in the order of the values."""
        return self._place(torch.arange(self.values.numel(), device=self.values.device))

    def _evaluate(self, sdf: Sdf, indices: Tensor) -> None:
        flat = self.values.view(-1)
        for part in indices.split(CHUNK):
            with torch.no_grad():
                flat[part] = sdf(self._place(part))

    def _place(self, indices: Tensor) -> Tensor:
        m = self.resolution
        corner = torch.stack([indices // (m * m), indices // m % m, indices % m], dim=1)
        return corner.to(self.values.dtype) * self.cell - 1


def interpolate(lattice: Tensor, points: Tensor) -> Tensor:
    """Trilinear values (N,) at points (N, 3) of a lattice (M, M, M) over [-1, 1]^3, indexed x, y, z."""
    grid = points.flip(1)[None, None, None]  # grid_sample wants the last axis first
    values = torch.nn.functional.grid_sample(lattice[None, None], grid, align_corners=True, padding_mode="border")
    return values[0, 0, 0, 0]


def laplacian(lattice: ProxyLattice, points: Tensor) -> Tensor:
    """Sum of the second derivatives (N,) of the lattice's field: for a distance, the sum of the curvatures."""
    steps = lattice.cell * torch.eye(3).to(points)
    moved = [points, *(points + sign * step for step in steps for sign in (1, -1))]
    middle, *around = interpolate(lattice.values, torch.cat(moved)).view(7, -1)
    return (torch.stack(around).sum(dim=0) - 6 * middle) / lattice.cell**2
