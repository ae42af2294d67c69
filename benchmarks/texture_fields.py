"""What a texture field can show, beside a voxel grid of colours of the same memory on the same mesh (TEX-2).

    .venv/bin/python benchmarks/texture_fields.py MESH CAPTURE [--preset texture] [--json FILE] [--picture FILE]

Both learn from the same pixels in the same number of steps: the preset of `tidr paint`, and colours at the corners of a
dense grid around the mesh, between which they are interpolated, as many as there are numbers in the field (Oechsle et
al., Texture Fields, ICCV 2019). The picture is photo | field | voxels of one view.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from taichi_idr import runtime

import numpy as np  # isort: skip
import torch  # isort: skip
from torch import Tensor, nn  # isort: skip

from taichi_idr.capture.formats.catalogue import find_capture  # isort: skip
from taichi_idr.commands.paint import FEWEST_PHOTOS, Job, Lights, prepared, scores, trained  # isort: skip
from taichi_idr.errors import TidrError  # isort: skip
from taichi_idr.machine import commit, this_machine  # isort: skip
from taichi_idr.painting.model import PaintedMesh  # isort: skip
from taichi_idr.painting.networks import ColourNetwork, Sight, colour_network  # isort: skip
from taichi_idr.painting.settings import make_paint_config  # isort: skip
from taichi_idr.pictures.colours import write_png  # isort: skip
from taichi_idr.pictures.rendering import render_view  # isort: skip
from taichi_idr.types import CaptureReading  # isort: skip


BYTES = 4  # of a number


class Voxels(ColourNetwork):
    """Colours at the corners of a dense grid over [-1, 1]^3, trilinear between them; grey at first."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(1, 3, side, side, side))

    def forward(self, sight: Sight) -> Tensor:
        place = sight.points[None, :, None, None]
        between = nn.functional.grid_sample(self.logits, place, align_corners=True, padding_mode="border")
        return torch.sigmoid(between[0, :, :, 0, 0].T)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed_options(arguments)
    try:
        numbers = compared(options)
    except TidrError as error:
        raise SystemExit(f"texture_fields: {error}") from error
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")
    print(f"{'':10}{'MB':>8}{'seconds':>9}{'PSNR':>8}{'held out':>10}")
    for name in ("field", "voxels"):
        row = numbers[name]
        heldout = row.get("heldout_psnr_clear_db", float("nan"))
        print(f"{name:10}{row['bytes'] / 1e6:8.1f}{row['seconds']:9.1f}{row['psnr_clear_db']:8.2f}{heldout:10.2f}")


def parsed_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mesh", type=Path)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--preset", default="texture")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--voxel-rate", type=float, default=0.1, help="of Adam on the grid's logits")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    return parser.parse_args(arguments)


def compared(options: argparse.Namespace) -> dict[str, Any]:
    """Memory, seconds and PSNR of both."""
    job = job_of(options)
    field = colour_network(job.config, 1, runtime.current().device, job.generator)
    voxels = Voxels(round((size_of(field) / 3) ** (1 / 3)))
    schedule = job.config.schedule.model_copy(update={"rate": options.voxel_rate})
    with_grid = replace(job, config=job.config.model_copy(update={"schedule": schedule}))
    painted, rows = [], {}
    for name, one, network in (("field", job, field), ("voxels", with_grid, voxels)):
        started = time.monotonic()
        painted.append(trained(one, network))
        seconds = round(time.monotonic() - started, 1)
        found = scores(painted[-1], one, options.capture, CaptureReading())
        rows[name] = {"bytes": size_of(network) * BYTES, "seconds": seconds, **found}
    if options.picture:
        write_png(options.picture, side_by_side(job, painted))
    return {**rows, "config": job.config.model_dump(), "machine": this_machine().model_dump(), "commit": commit()}


def job_of(options: argparse.Namespace) -> Job:
    """Mesh and capture read, rays cast."""
    config = make_paint_config(options.preset, options.assignments, schedule={"steps": options.steps})
    runtime.init("cpu")
    layout = find_capture(options.capture, CaptureReading(), FEWEST_PHOTOS, need_masks=False)
    lights = Lights([""], [0] * len(layout.images))
    return prepared(options.mesh, layout, options.capture, CaptureReading(), lights, config, "none")


def size_of(network: ColourNetwork) -> int:
    """Numbers that it has learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def side_by_side(job: Job, painted: Sequence[PaintedMesh]) -> np.ndarray:
    """photo | field | voxels (H, 3 W, 3) in [0, 1] of the photo that shows most of the mesh."""
    view = int(job.seen.pixels[:, 2].argmax())
    shape = job.photos.masks[view].shape
    views = [render_view(mesh, job.photos.cameras[[view]], *shape).colour for mesh in painted]
    return np.concatenate([job.photos.images[view].astype(np.float32) / 255, *views], axis=1)


if __name__ == "__main__":
    main()
