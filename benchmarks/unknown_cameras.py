"""Table 2 of the paper: photos of unknown cameras, whose poses are trained with the shape.

    .venv/bin/python benchmarks/unknown_cameras.py CAPTURE --out FOLDER [--masks FOLDER | --no-masks] [--sfm builtin]

CAPTURE is of any format that has cameras, say a scan of DTU or Strecha's Fountain-P11 (photos and `.camera` files).
These are the truth and nothing else: `tidr prepare` finds cameras of the photos alone, a fit with `--cameras train`
moves them, and both are compared with the truth after the best similarity.

Fountain-P11 is no object that is seen all round. Its masks are to be drawn (`--masks`), or every pixel is taken for the
object (`--no-masks`), which --region X,Y,Z,RADIUS (in the world of FOLDER/capture) then has to bound.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taichi_idr import runtime  # noqa: F401  (before torch: the package sets how OpenMP threads wait)

import numpy as np  # isort: skip
from PIL import Image  # isort: skip

from taichi_idr.cameras.alignment import camera_accuracy  # isort: skip
from taichi_idr.capture.formats.catalogue import find_capture  # isort: skip
from taichi_idr.capture.formats.conventions import view_cameras  # isort: skip
from taichi_idr.capture.formats.matrices import write_idr_cameras  # isort: skip
from taichi_idr.capture.formats.source import FoundView, size_of  # isort: skip
from taichi_idr.capture.reading import stored_views  # isort: skip
from taichi_idr.commands.evaluate import evaluate_run  # isort: skip
from taichi_idr.commands.fit import fit_capture  # isort: skip
from taichi_idr.commands.prepare import Knowledge, prepare_capture  # isort: skip
from taichi_idr.errors import TidrError  # isort: skip
from taichi_idr.machine import commit  # isort: skip
from taichi_idr.types import Cameras, CaptureReading  # isort: skip


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed_options(arguments)
    try:
        numbers = compared(options)
    except TidrError as error:
        raise SystemExit(f"unknown_cameras: {error}") from error
    (options.out / "unknown_cameras.json").write_text(json.dumps({**numbers, "commit": commit()}, indent=1) + "\n")
    print(f"{'':10}{'rotation, deg':>14}{'less one of all':>17}{'centre':>10}")
    for when in ("found", "trained"):
        row = numbers[when]
        print(f"{when:10}{row['rotation_deg']:14.3f}{row['rotation_apart_deg']:17.3f}{row['centre']:10.4g}")
    print(f"PSNR {numbers['psnr_db']:.2f} dB, {numbers['photos']} photos, unit of the truth")


def parsed_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder to make; what lies in it is taken up again")
    masks = parser.add_mutually_exclusive_group()
    masks.add_argument("--masks", type=Path, help="folder of silhouettes [cut by tidr prepare]")
    masks.add_argument("--no-masks", action="store_true", help="every pixel is of the object")
    parser.add_argument("--sfm", choices=("auto", "colmap", "builtin"), default="auto")
    parser.add_argument("--region", type=lambda text: tuple(float(word) for word in text.split(",")))
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--downscale", type=int)
    return parser.parse_args(arguments)


def compared(options: argparse.Namespace) -> dict[str, Any]:
    """Errors of the cameras as found and as trained, and the PSNR of the fit."""
    reading = CaptureReading()
    known = stored_views(find_capture(options.capture, reading, need_masks=False), reading)
    true = {view.image.stem: view for view in known}
    photos = alone(known, options.out / "photos")
    masks = all_white(photos, options.out / "white") if options.no_masks else options.masks
    capture = options.out / "capture"
    prepare_capture(photos, capture, Knowledge(masks=masks, region=options.region, sfm=options.sfm))
    found = find_capture(capture)
    reference = cameras_of([true[view.image.stem] for view in found.views])
    write_idr_cameras(options.out / "true.npz", reference, np.eye(4))
    chosen = {
        "preset": options.preset,
        "assignments": options.assignments,
        "steps": options.steps,
        "downscale": options.downscale,
    }
    fit_capture(capture, out=options.out / "run", cameras="train", **chosen)
    numbers = evaluate_run(options.out / "run", gt_cameras=options.out / "true.npz")
    return {
        "photos": len(found.views),
        "found": errors(cameras_of(found.views), reference),
        "trained": {
            "rotation_deg": numbers["camera_rotation_deg"],
            "rotation_apart_deg": numbers["camera_rotation_apart_deg"],
            "centre": numbers["camera_centre"],
        },
        "psnr_db": numbers["psnr_db"],
    }


def alone(views: Sequence[FoundView], folder: Path) -> Path:
    """The photos without anything that says where they were taken."""
    folder.mkdir(parents=True, exist_ok=True)
    for view in views:
        place = folder / view.image.name
        if not place.exists():
            shutil.copyfile(view.image, place)
    return folder


def all_white(photos: Path, folder: Path) -> Path:
    """Masks that leave nothing out."""
    folder.mkdir(exist_ok=True)
    for photo in sorted(photos.iterdir()):
        Image.new("L", size_of(photo), 255).save(folder / f"{photo.stem}.png")
    return folder


def cameras_of(views: Sequence[FoundView]) -> Cameras:
    """camera -> world, float64."""
    return view_cameras(views, [view.pinhole for view in views], views[0].image.parent)


def errors(cameras: Cameras, reference: Cameras) -> dict[str, float]:
    found = camera_accuracy(cameras, reference)
    return {
        "rotation_deg": found.rotation_mean_deg,
        "rotation_apart_deg": found.rotation_apart_deg,
        "centre": found.centre_mean,
    }


if __name__ == "__main__":
    main()
