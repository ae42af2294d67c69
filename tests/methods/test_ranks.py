"""Processes that share a fit: parts of batches, sums of gradients, equal to one process with the whole."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import captures
import pytest
import safetensors.torch
import torch

from taichi_idr.methods.ranks import ALONE, Ranks

STEPS = 20
DOUBLE, SINGLE = 1e-12, 2e-3
"""Largest difference of a parameter after STEPS steps, in which it moves by .02 at most; measured 3e-16, and on one
processor 3e-7, on another 3e-4: where a slope is nothing but rounding, Adam takes it for a direction."""
SMALL = {
    "idr": "geometry.width=48 geometry.hidden_layers=3 geometry.skip_layer=2 geometry.features=8 radiance.width=16 "
    "radiance.hidden_layers=2 schedule.rays=200 loss.eikonal_points=64 schedule.rate=1e-3 cameras.train=true",
    "nerf": "seed=1 network.width=32 network.layers=3 volume.coarse=12 volume.fine=12 schedule.rays=64",
}

TRAIN = """
import os, sys
from pathlib import Path
import safetensors.torch
from taichi_idr import runtime
from taichi_idr.capture.reading import read_capture
from taichi_idr.fitting.place import Place
from taichi_idr.fitting.together import follow, joined
from taichi_idr.methods.catalogue import make_config, method_of

capture, preset, settings, precision, steps, out = sys.argv[1:]
place = Place.of(os.environ)
runtime.init("cpu", precision, threads=1)
config = make_config(preset, settings.split())
trainer = method_of(config).trainer(config, read_capture(Path(capture)), runtime.current().device)
with joined(place) as ranks:
    trainer.ranks = ranks
    if place.leads:
        reports = [trainer.step() for _ in range(int(steps))]
        numbers = {f"report.{name}": value.detach().double() for name, value in
                   {"loss": reports[-1].loss, **reports[-1].measured}.items()}
        safetensors.torch.save_file({**trainer.state(), **numbers}, out)
    else:
        follow(trainer, ranks)
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def as_torchrun(rank: int, world: int, port: int) -> dict[str, str]:
    own = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": world}
    return {**os.environ, **{k: str(v) for k, v in own.items()}, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def trained(folder: Path, capture: Path, preset: str, precision: str, world: int) -> dict[str, torch.Tensor]:
    """The leader's state after STEPS steps, shared by so many processes."""
    port, out = free_port(), folder / f"{world}.safetensors"
    words = [sys.executable, "-c", TRAIN, str(capture), preset, SMALL[preset], precision, str(STEPS), str(out)]
    ranks = [subprocess.Popen(words, env=as_torchrun(rank, world, port)) for rank in range(world)]
    assert [rank.wait(timeout=240) for rank in ranks] == [0] * world
    return safetensors.torch.load_file(out)


@pytest.mark.parametrize(
    ("preset", "precision"),
    [
        ("idr", "float64"),
        pytest.param("idr", "float32", marks=pytest.mark.slow),
        pytest.param("nerf", "float64", marks=pytest.mark.slow),
    ],
)
def test_two_ranks_with_half_a_batch_each_are_one_with_all_of_it(tmp_path: Path, preset: str, precision: str) -> None:
    capture = captures.make_capture(tmp_path / "balls", views=5)
    one, two = (trained(tmp_path, capture, preset, precision, world) for world in (1, 2))
    assert one.keys() == two.keys()
    assert torch.equal(one["generator"], two["generator"])
    worst = {
        name: (one[name].double() - two[name].double()).abs().max().item()
        for name in one
        if name.startswith(("model", "poses"))
    }
    moments = [value for name, value in two.items() if name.endswith("exp_avg")]
    assert len(moments) > 5 and all(bool(moment.any()) for moment in moments)  # something was learned
    most = DOUBLE if precision == "float64" else SINGLE
    assert max(worst.values()) < most, worst
    for name in ("report.loss", "report.hits"):
        assert two[name].item() == pytest.approx(one[name].item(), rel=most)


class TestParts:
    def test_of_rows(self) -> None:
        rows = torch.arange(11)
        parts = [Ranks(rank, 3).part(rows) for rank in range(3)]
        assert [part.tolist() for part in parts] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
        assert Ranks(2, 3).part(rows[:2]).tolist() == [0, 1]
        assert ALONE.part(rows) is rows

    def test_alone_nothing_changes(self) -> None:
        numbers = {"loss": torch.tensor(2.0), "hits": torch.tensor(3)}
        assert ALONE.totals(numbers) == numbers
        assert ALONE.agree(torch.tensor(True)) and not ALONE.agree(torch.tensor(False))
        parameter = torch.nn.Parameter(torch.ones(2))
        ALONE.average_gradients([parameter])
        assert parameter.grad is None

    @pytest.mark.parametrize("dtypes", [(torch.float32, torch.float64), (torch.float64, torch.float32)])
    def test_kinds_of_numbers_come_in_the_order_of_the_parameters(
        self, dtypes: tuple[torch.dtype, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not in that of a set, which each process has of its own: then ranks would add up unlike things."""
        summed: list[torch.dtype] = []
        monkeypatch.setattr("taichi_idr.methods.ranks.dist.all_reduce", lambda flat: summed.append(flat.dtype))
        Ranks(0, 2).average_gradients([torch.nn.Parameter(torch.ones(3, dtype=dtype)) for dtype in dtypes])
        assert tuple(summed) == dtypes
