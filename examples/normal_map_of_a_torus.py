"""Trace a torus with the exact tracer and write its normals as a picture: the tracer needs a function, not a network.

python examples/normal_map_of_a_torus.py [OUT.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.config import TracerConfig
from taichi_idr.ops.raygen import generate_rays
from taichi_idr.tracing.exact import trace
from taichi_idr.types import Rays

MAJOR, MINOR, TILT = 0.6, 0.25, 0.9
SIZE, FOCAL, DISTANCE = 240, 400.0, 3.0


def torus(points: Tensor) -> Tensor:
    """Signed distance (N,) to a torus about an axis tilted towards the camera."""
    cosine, sine = np.cos(TILT), np.sin(TILT)
    height = cosine * points[:, 2] + sine * points[:, 1]
    across = torch.stack([points[:, 0], cosine * points[:, 1] - sine * points[:, 2]], dim=1)
    return torch.hypot(across.norm(dim=1) - MAJOR, height) - MINOR


def camera_rays(device: torch.device) -> Rays:
    """One ray per pixel, row by row, of a camera on the negative z axis that looks at the origin."""
    v, u = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    pixels = torch.stack([u.flatten(), v.flatten()], dim=1).float()
    middle = (SIZE - 1) / 2
    K = torch.tensor([[FOCAL, 0.0, middle], [0.0, FOCAL, middle], [0.0, 0.0, 1.0]])
    quaternion, centre = torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, -DISTANCE]])
    view = torch.zeros(len(pixels), dtype=torch.int32)
    arguments = (quaternion, centre, torch.linalg.inv(K)[None], view, pixels)
    return Rays(*generate_rays(*(argument.to(device) for argument in arguments)))


def main(out: Path) -> None:
    rays = camera_rays(runtime.init().device)
    hits = trace(rays, torus, TracerConfig())
    points = rays.at(hits.depth)[hits.hit].requires_grad_()
    (normals,) = torch.autograd.grad(torus(points).sum(), points)
    picture = torch.ones(len(rays), 3)
    # Camera axes, with y up and z towards the viewer, as normal maps are usually drawn.
    picture[hits.hit.cpu()] = 0.5 + 0.5 * normals.cpu() * torch.tensor([1.0, -1.0, -1.0])
    Image.fromarray((255 * picture.reshape(SIZE, SIZE, 3)).byte().numpy()).save(out)
    print(f"{int(hits.hit.sum()):,} of {len(rays):,} rays hit the torus; normals in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "torus.png"))
