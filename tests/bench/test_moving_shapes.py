"""benchmarks/moving_shapes.py: how well known motions are followed (FLOW-4)."""

from __future__ import annotations

import json

from benchmark_modules import benchmark

SMALL = ["occupancy.width=16", "velocity.width=16", "velocity.blocks=1", "samples.per_frame=200", "schedule.steps=2"]


def test_each_motion_is_measured_told_and_untold(tmp_path, capsys):
    bench = benchmark("moving_shapes")
    words = [f"--set={text}" for text in SMALL]
    bench.main(["--motions", "turning", "--seeds", "3", "--json", str(tmp_path / "found.json"), *words])
    untold, told = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert (untold["motion"], untold["told"], told["told"], told["seed"], told["steps"]) == (
        "turning",
        False,
        True,
        3,
        2,
    )
    # Two steps move nothing far: vertices stay behind a quarter turn.
    assert 0.1 < untold["error"] < untold["worst_error"] < 0.5 and 0 <= untold["iou"] <= 1
    assert capsys.readouterr().out.count("turning") == 2
