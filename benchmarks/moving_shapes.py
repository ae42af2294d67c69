"""How well `tidr flow` follows shapes whose motion is known (FLOW-4), told which places correspond or not.

    .venv/bin/python benchmarks/moving_shapes.py [--motions turning,bending,breathing] [--seeds 0,1] [--json FILE]

Errors are mean distances of vertices from their true places, in the longest edge of the sequence's box: in the mean
over all frames after the first, and in the worst of them. IoU is of evenly drawn points that the fit has not seen.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from taichi_idr import runtime

from taichi_idr.errors import TidrError  # isort: skip
from taichi_idr.machine import commit, this_machine  # isort: skip
from taichi_idr.meshes.motions import MOTIONS, moving_shape  # isort: skip
from taichi_idr.meshes.sequences import MeshSequence  # isort: skip
from taichi_idr.methods.flow.prepared import labelled  # isort: skip
from taichi_idr.methods.flow.result import scores  # isort: skip
from taichi_idr.methods.flow.settings import FlowConfig, make_flow_config  # isort: skip
from taichi_idr.methods.flow.trainer import FlowTrainer, fit_flow, threads_for  # isort: skip

FRAMES = 17
HELD_OUT, OTHER_SEED = 5000, 1000  # points of each frame, and of their random numbers


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed_options(arguments)
    rows = []
    print(f"{'motion':10}{'told':>6}{'seed':>6}{'error %':>9}{'worst %':>9}{'IoU':>7}{'worst':>7}{'CPU s':>7}")
    for motion, told, seed in product(options.motions.split(","), (False, True), map(int, options.seeds.split(","))):
        try:
            row = measured(motion, told, seed, options.assignments)
        except TidrError as error:
            raise SystemExit(f"moving_shapes: {error}") from error
        errors = f"{100 * row['error']:9.3f}{100 * row['worst_error']:9.3f}"
        print(f"{motion:10}{told:>6}{seed:6}{errors}{row['iou']:7.3f}{row['worst_iou']:7.3f}{row['cpu_seconds']:7.0f}")
        rows.append(row)
    if options.json:
        found = {"machine": this_machine().model_dump(), "commit": commit(), "rows": rows}
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def parsed_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motions", default=",".join(MOTIONS))
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(arguments)


def measured(motion: str, told: bool, seed: int, assignments: list[str]) -> dict[str, Any]:
    """One fit, and how well it follows the motion."""
    config = make_flow_config("fast", assignments, seed=seed, loss={"correspondence_weight": float(told)})
    sequence = MeshSequence([str(k) for k in range(FRAMES)], moving_shape(motion, FRAMES))
    trainer, seconds = fitted(sequence, config)
    even = config.samples.model_copy(update={"per_frame": HELD_OUT, "near_share": 0.0})
    found = scores(trainer.flow, labelled(sequence, even, OTHER_SEED + seed))
    assert found.correspondence is not None
    errors = found.correspondence[1:]
    row = {"motion": motion, "told": told, "seed": seed, "steps": config.schedule.steps, "cpu_seconds": seconds}
    row |= {"error": float(errors.mean()), "worst_error": float(errors.max())}
    return row | {"iou": float(found.iou.mean()), "worst_iou": float(found.iou.min())}


def fitted(sequence: MeshSequence, config: FlowConfig) -> tuple[FlowTrainer, float]:
    """After all steps, and the seconds on the CPU that these took."""
    seen = labelled(sequence, config.samples, config.seed)
    trainer, began = FlowTrainer(config, seen, runtime.current().device), time.process_time()
    with threads_for(config):
        fit_flow(trainer, lambda step, loss: None)
    return trainer, time.process_time() - began


if __name__ == "__main__":
    main()
