"""What this machine can do at most, as torch does it, measured in the run that it is held against."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from .. import runtime
from .case import Work
from .results import Ceilings
from .scene import Scene

COPIED = {True: 1 << 22, False: 1 << 26}  # floats, quick or not: 16 MiB, 256 MiB
GATHERED = {True: 1 << 18, False: 1 << 21}
SIDE = {True: 512, False: 2048}  # of the matrices
REPEATS = {True: 3, False: 9}


def measure_ceilings(scene: Scene, *, quick: bool) -> Ceilings:
    table = scene.grid[0].view(torch.int64).flatten()  # a row of two floats as one number: what gathers fastest
    rows = scene.integers(len(table), GATHERED[quick])
    source, left = scene.empty(COPIED[quick]).zero_(), scene.normal(SIDE[quick], SIDE[quick])
    target, product = torch.empty_like(source), torch.empty_like(left)
    gathered = torch.empty(len(rows), dtype=torch.int64, device=rows.device)
    return Ceilings(
        copy_bytes=2 * source.nbytes / _seconds(lambda: target.copy_(source), quick),
        gathers=len(rows) / _seconds(lambda: torch.index_select(table, 0, rows, out=gathered), quick),
        operations=2 * len(left) ** 3 / _seconds(lambda: torch.mm(left, left, out=product), quick),
    )


def share_of_ceiling(work: Work, items_per_second: float, ceilings: Ceilings) -> tuple[str, float]:
    """The ceiling that is nearest, and the share of it that is used."""
    shares = {
        "copy": work.bytes * items_per_second / ceilings.copy_bytes,
        "gather": work.gathers * items_per_second / ceilings.gathers,
        "multiply-add": work.operations * items_per_second / ceilings.operations,
    }
    return max(shares.items(), key=lambda item: item[1])


def _seconds(call: Callable[[], Any], quick: bool) -> float:
    """Of the fastest call: a ceiling is what can be reached."""
    call()
    seconds = []
    for _ in range(REPEATS[quick]):
        runtime.synchronize()
        began = time.perf_counter()
        call()
        runtime.synchronize()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
