"""benchmarks/soak.py: memory of one process over many steps, meshes and renderings."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from benchmark_modules import benchmark


@pytest.fixture(scope="module")
def soak() -> ModuleType:
    return benchmark("soak")


def test_the_slope_is_that_of_the_second_half(soak: ModuleType) -> None:
    counts = np.arange(1, 2001)
    warming = np.minimum(counts, 500) * 0.4
    assert soak.slope(counts, warming) == pytest.approx(0, abs=1e-9)
    assert soak.slope(counts, warming + 0.002 * counts) == pytest.approx(2.0)
    assert soak.slope(counts[:1], warming[:1]) == 0


@pytest.mark.slow
@pytest.mark.fault(71)
def test_all_of_it_in_short(soak: ModuleType, tmp_path: Path) -> None:
    words = ["--steps", "60", "--meshes", "3", "--renders", "3", "--out", str(tmp_path)]
    assert soak.main(words) in (0, 1)  # so short, warming up may look like a leak
    rows = json.loads((tmp_path / "soak.json").read_text())
    assert {name: row["count"] for name, row in rows.items()} == {"steps": 60, "meshes": 3, "renderings": 3}
    assert all(row["last"] > 100 for row in rows.values())
