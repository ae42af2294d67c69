"""Memory of one process that fits, meshes and renders again and again: `make soak`.

    .venv/bin/python benchmarks/soak.py [--steps 20000] [--meshes 200] [--renders 300] [--out FOLDER]

The demo's ewer, photographed small, is fitted with all that belongs to a fit: log, previews, checkpoints; then its run
is meshed and rendered. What a process takes at its beginning, caches that fill and kernels that are compiled, is no
leak: the slope is that of the second half, by least squares. Exit code 1 where one is beyond 1 MB per 1,000 steps,
meshes or renderings. One row of JSON for each goes to FOLDER/soak.json.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

from taichi_idr import runtime  # before torch: the package sets how OpenMP threads wait

import numpy as np  # isort: skip
import psutil  # isort: skip

from taichi_idr.capture.synthetic import make_capture  # isort: skip
from taichi_idr.commands.fit import fit_capture  # isort: skip
from taichi_idr.commands.mesh import mesh_run  # isort: skip
from taichi_idr.commands.render import render_run  # isort: skip
from taichi_idr.methods.trainer import Trainer  # isort: skip

MOST = 1.0  # MB per 1,000
EVERY = 20  # steps between looks at a fit
SMALL = ("schedule.hull_resolution=48", "proxy.resolution=64", "log.judge_seconds=0", "consistency.points=64")
MB = 1 << 20


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    runtime.init("cpu")
    capture, run = options.out / "ewer", options.out / "run"
    make_capture(capture, views=8, size=(64, 64), samples=4)
    rows = {
        "steps": _while_fitting(capture, run, options.steps),
        "meshes": _repeated(lambda: mesh_run(run, resolution=48), options.meshes),
        "renderings": _repeated(lambda: render_run(run, frames=1, size=64), options.renders),
    }
    (options.out / "soak.json").write_text(json.dumps(rows, indent=1) + "\n")
    for name, row in rows.items():
        print(f"{name:<11}{row['count']:>7,}   {row['slope']:+.3f} MB per 1,000, {row['last']:.0f} MB at the end")
    return int(any(row["slope"] > MOST for row in rows.values()))


def slope(counts: np.ndarray, megabytes: np.ndarray) -> float:
    """MB per 1,000 over the second half of counts (N,), which rise."""
    later = counts >= counts[-1] / 2
    return float(np.polyfit(counts[later], megabytes[later], 1)[0] * 1000) if later.sum() > 1 else 0.0


def _while_fitting(capture: Path, run: Path, steps: int) -> dict[str, float]:
    counts, megabytes = list[int](), list[float]()

    def look(trainer: Trainer) -> None:
        if trainer.steps_done % EVERY == 0:
            counts.append(trainer.steps_done)
            megabytes.append(_memory())

    with redirect_stdout(StringIO()):
        fit_capture(capture, out=run, assignments=list(SMALL), steps=steps, rays=128, fresh=run.exists(), watch=look)
    return _row(counts, megabytes)


def _repeated(one: Callable[[], object], count: int) -> dict[str, float]:
    megabytes = []
    for _ in range(count):
        with redirect_stdout(StringIO()):
            one()
        megabytes.append(_memory())
    return _row(list(range(1, count + 1)), megabytes)


def _row(counts: list[int], megabytes: list[float]) -> dict[str, float]:
    return {"count": counts[-1], "slope": slope(np.array(counts), np.array(megabytes)), "last": megabytes[-1]}


def _memory() -> float:
    """What is in use: freed memory that the C library keeps for later goes up and down by tens of megabytes."""
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc alone
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / MB


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--meshes", type=int, default=200)
    parser.add_argument("--renders", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("runs/soak"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
