"""Compiled kernels are kept for the next process, even if the last one was killed over them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMPILE = """
import torch
from taichi_idr import runtime
from taichi_idr.kernels.sphere_bounds import sphere_bounds

runtime.init("cpu", "float32", threads=1)
near, far, origins = torch.empty(4), torch.empty(4), torch.ones(4, 3)
runtime.launch(sphere_bounds, origins, -origins, 1.0, near, far, torch.zeros(4, dtype=torch.int32))
"""


@pytest.mark.parametrize(("age", "kept"), [(None, True), (3600.0, True), (0.0, False)])
@pytest.mark.fault(61, 65)
def test_kernels_are_kept_but_while_another_process_holds_the_lock(
    tmp_path: Path, age: float | None, kept: bool
) -> None:
    lock = tmp_path / "ticache.lock"
    if age is not None:
        lock.touch()
        then = time.time() - age
        os.utime(lock, (then, then))
    place = {**os.environ, "TI_OFFLINE_CACHE_FILE_PATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", COMPILE], env=place, check=True, timeout=120)
    assert any(tmp_path.glob("*.tic")) == kept
    assert lock.exists() == (not kept)
