"""Kernels beside their plain torch twins: the same inputs, a correctness gate, then median time and ratio.

    .venv/bin/python benchmarks/kernels_against_twins.py [--points 8192] [--threads 2] [--json FILE]

Machines are shared and noisy: only the ratios of one run mean anything (benchmarks/README.md).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from taichi_idr import runtime  # before torch: it sets how OpenMP threads wait

import torch  # isort: skip
from torch import Tensor  # isort: skip

from taichi_idr.config import HashGeometryConfig  # isort: skip
from taichi_idr.kernels import march as march_kernels  # isort: skip
from taichi_idr.ops.hash_encoding import HashLayout, hash_encoding, hash_encoding_jacobian  # isort: skip
from taichi_idr.ops.sphere_bounds import sphere_bounds  # isort: skip
from taichi_idr.proxy import ProxyLattice  # isort: skip
from taichi_idr.reference import hash_encoding as hash_twin  # isort: skip
from taichi_idr.reference import march as march_twin  # isort: skip
from taichi_idr.reference import sphere_bounds as sphere_twin  # isort: skip
from taichi_idr.reference.analytic_sdf import torus  # isort: skip

REPEATS = 9
GATE = 1e-3  # relative to the largest value: single precision, sums of up to 1024^2


@dataclass(frozen=True)
class Case:
    """`ours` and `twin` return tensors that must agree."""

    name: str
    ours: Callable[[], tuple[Tensor, ...]]
    twin: Callable[[], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Row:
    """Median and spread (largest over smallest) of the kernel's milliseconds, the twin's median, and their ratio."""

    name: str
    points: int
    milliseconds: float
    spread: float
    twin_milliseconds: float
    ratio: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--arch", default="cpu", choices=["cpu", "cuda", "vulkan"])
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    settings = runtime.init(options.arch, threads=options.threads)
    rows = []
    print(f"{'case':28}{'ms':>9}{'spread':>8}{'twin ms':>10}{'ratio':>8}")
    for case in [*hash_cases(options.points), *ray_cases(options.points)]:
        check(case)
        row = measure(case, options.points)
        rows.append(asdict(row))
        numbers = f"{row.milliseconds:9.2f}{row.spread:8.2f}{row.twin_milliseconds:10.2f}{row.ratio:8.1f}"
        print(f"{row.name:28}{numbers}")
    if options.json:
        machine = {"machine": platform.machine(), "python": platform.python_version(), "torch": torch.__version__}
        run = {**machine, "arch": settings.arch, "threads": settings.threads, "rows": rows}
        options.json.write_text(json.dumps(run, indent=1) + "\n")


def hash_cases(count: int) -> list[Case]:
    """Value, value and Jacobian, and the adjoint of both to points and table, at the sizes of preset `fast`."""
    settings, config = runtime.current(), HashGeometryConfig()
    layout = HashLayout.build(config.levels, config.coarsest, config.finest, config.log2_rows, settings.device)
    generator = torch.Generator().manual_seed(0)
    points = (torch.rand(count, 3, generator=generator) * 2 - 1).to(settings.device).requires_grad_()
    table = torch.randn(layout.rows, 2, generator=generator).to(settings.device).requires_grad_()
    arguments = (points, table, layout, config.levels)

    def adjoint(encode: Callable[..., tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
        value, jacobian = encode(*arguments)
        return torch.autograd.grad(value.sum() + jacobian.sum(), (points, table))

    return [
        Case("hash value", lambda: (hash_encoding(*arguments),), lambda: (hash_twin.hash_encoding(*arguments),)),
        Case(
            "hash value and Jacobian",
            lambda: hash_encoding_jacobian(*arguments),
            lambda: hash_twin.hash_encoding_jacobian(*arguments),
        ),
        Case(
            "the same with its adjoint",
            lambda: adjoint(hash_encoding_jacobian),
            lambda: adjoint(hash_twin.hash_encoding_jacobian),
        ),
    ]


def ray_cases(count: int) -> list[Case]:
    """Bounding sphere and march towards a torus."""
    settings, generator = runtime.current(), torch.Generator().manual_seed(0)
    origins, targets = torch.randn(2, count, 3, generator=generator)
    origins = (2.5 * torch.nn.functional.normalize(origins, dim=1)).to(settings.device)
    directions = torch.nn.functional.normalize(0.5 * targets.to(settings.device) - origins, dim=1)
    lattice = ProxyLattice(96, settings.device)
    lattice.refresh(lambda x: torus(x, 0.5, 0.2))
    start, steps = torch.zeros(count, device=settings.device), (0.3 * lattice.cell, 0.5 * lattice.cell)
    rays = (origins, directions, start, lattice.values, 1.0, *steps)

    def march() -> tuple[Tensor, ...]:
        interval = start.new_empty(count, 4)
        outcome = torch.empty(count, dtype=torch.int32, device=start.device)
        runtime.launch(march_kernels.march, *rays, interval, outcome)
        return (outcome.float(),)

    return [
        Case(
            "bounding sphere",
            lambda: sphere_bounds(origins, directions, 1.0)[:2],
            lambda: sphere_twin.sphere_bounds(origins, directions, 1.0)[:2],
        ),
        Case("march on the lattice", march, lambda: (march_twin.march(*rays)[1].float(),)),
    ]


def check(case: Case) -> None:
    """Stop where kernel and twin disagree on more than a thousandth of the entries: fast and wrong is no result."""
    for ours, twin in zip(case.ours(), case.twin(), strict=True):
        apart = ((ours - twin).abs() > GATE * twin.abs().max()).float().mean().item()
        if apart > 1e-3:
            raise SystemExit(f"{case.name}: kernel and twin disagree on {apart:.2%} of the entries")


def measure(case: Case, points: int) -> Row:
    ours, twin = sorted(timed(case.ours)), sorted(timed(case.twin))
    mine, theirs = statistics.median(ours), statistics.median(twin)
    return Row(case.name, points, mine * 1e3, ours[-1] / ours[0], theirs * 1e3, theirs / mine)


def timed(call: Callable[[], tuple[Tensor, ...]]) -> list[float]:
    """Seconds of REPEATS calls after one that does not count."""
    call()
    seconds = []
    for _ in range(REPEATS):
        runtime.synchronize()
        began = time.perf_counter()
        call()
        runtime.synchronize()
        seconds.append(time.perf_counter() - began)
    return seconds


if __name__ == "__main__":
    main()
