"""Appendix D of the paper: a renderer without normal or without view direction cannot show a Phong scene.

On one fixed surface the normal is a function of the point and could be learned by heart; a renderer must serve every
shape that a fit passes through. So the scene is a torus turned every way, and only the renderer is fitted.

python examples/phong_ablation.py [STEPS]
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor
from torch.nn.functional import normalize

from taichi_idr import runtime
from taichi_idr.config import RadianceConfig
from taichi_idr.fields.radiance import Radiance
from taichi_idr.fields.sample import GeometrySample

MAJOR, MINOR = 0.5, 0.2
DIFFUSE, SPECULAR, SHININESS = (0.3, 0.2, 0.1), 0.7, 6
LIGHT = (0.6, -0.5, -0.62)  # towards it
POINTS, BATCH, RATE = 32768, 512, 4e-3
MODES = {"full renderer": "idr", "without view direction": "no_view_dir", "without normal": "no_normal"}


def torus_points(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Points, unit normals and unit ray directions that meet them from outside (N, 3), each on a torus of its own."""
    around, tube = 2 * torch.pi * torch.rand(2, count, 1, generator=generator)
    outward = torch.cat([around.cos(), around.sin(), torch.zeros_like(around)], dim=1)
    axis = torch.tensor([0.0, 0.0, 1.0])
    normals = tube.cos() * outward + tube.sin() * axis
    turns = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator))[0]
    points, normals = (torch.einsum("nij,nj->ni", turns, v) for v in (MAJOR * outward + MINOR * normals, normals))
    directions = normalize(torch.randn(count, 3, generator=generator), dim=1)
    leaving = (directions * normals).sum(1, keepdim=True) > 0
    return points, normals, torch.where(leaving, -directions, directions)


def phong(normals: Tensor, directions: Tensor) -> Tensor:
    """Colours (N, 3) in [0, 1] under one far light: diffuse by normal, highlight by normal and view."""
    light = normalize(torch.tensor(LIGHT), dim=0)
    towards = normals @ light
    mirrored = 2 * towards[:, None] * normals - light
    highlight = (-directions * mirrored).sum(1).clamp(min=0) ** SHININESS * (towards > 0)
    return towards.clamp(min=0)[:, None] * torch.tensor(DIFFUSE) + SPECULAR * highlight[:, None]


def render(radiance: Radiance, points: Tensor, normals: Tensor, directions: Tensor) -> Tensor:
    """Colours (N, 3) in [0, 1]."""
    nothing = points.new_empty(len(points), 0)
    surface = GeometrySample(points.new_zeros(len(points)), normals, feature=nothing, encoding=nothing)
    return (radiance(points, directions, surface) + 1) / 2


def fitted_psnr(mode: str, steps: int) -> float:
    """dB on points that the fit has not seen."""
    generator = torch.Generator().manual_seed(0)
    config = RadianceConfig.model_validate({"mode": mode, "width": 64, "hidden_layers": 3, "view_frequencies": 2})
    radiance = Radiance(config, 0, torch.device("cpu"), generator)
    optimiser = torch.optim.Adam(radiance.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    seen, unseen = torus_points(POINTS, generator), torus_points(POINTS, generator)
    for _ in range(steps):
        chosen = torch.randint(POINTS, (BATCH,), generator=generator)
        points, normals, directions = (part[chosen] for part in seen)
        optimiser.zero_grad()
        ((render(radiance, points, normals, directions) - phong(normals, directions)) ** 2).mean().backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        error = (render(radiance, *unseen) - phong(*unseen[1:])) ** 2
    return float(-10 * error.mean().log10())


def main(steps: int) -> None:
    with runtime.small_batches():
        for name, mode in MODES.items():
            print(f"{name:22}  {fitted_psnr(mode, steps):.1f} dB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
