"""The benchmark's own rules: what is run, gated, timed, kept, compared and reported."""

from __future__ import annotations

import inspect
import itertools
import json
import math
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from taichi_idr import runtime as taichi_runtime
from taichi_idr.bench import run as running
from taichi_idr.bench import scene as scenes
from taichi_idr.bench.backend import MARK, Request, measure_backend
from taichi_idr.bench.case import Case, Entry, Gate, Work, copies
from taichi_idr.bench.catalogue import CATALOGUE, chosen
from taichi_idr.bench.ceilings import share_of_ceiling
from taichi_idr.bench.comparison import compare
from taichi_idr.bench.measuring import measure
from taichi_idr.bench.results import OK, Backend, Ceilings, Protocol, Results, Row, Times, read_results
from taichi_idr.bench.scene import Scene
from taichi_idr.cli.main import run
from taichi_idr.errors import BadInput, ExitCode, InputMissing, TidrError, Unavailable, UsageError
from taichi_idr.machine import Machine

CEILINGS = Ceilings(copy_bytes=1e9, gathers=1e8, operations=1e10)
PROTOCOL = Protocol(warm_up=1, least_repeats=3, most_repeats=6, seconds=0.0)
NO_CASE = {"photograph", "ewer_surface"}  # the demo's pictures, a matter of the demo's minutes
GPU_ONLY = {"table_adjoint_atomic"}


def entry(ours: Callable[..., Any], twin: Callable[..., Any], gate: Gate = Gate(1e-6), **options: Any) -> Entry:  # noqa: B008
    def build(scene: Scene, size: int) -> Case:
        """A case of this test."""
        return Case(lambda *x: (ours(*x),), lambda *x: (twin(*x),), (gate,), **options)

    return Entry("test", build, (4,), "item")


def measured(entry: Entry, protocol: Protocol = PROTOCOL) -> Row:
    return measure(entry, 4, Scene(), protocol, CEILINGS)


def ramp(*changes: tuple[int, float]) -> Tensor:
    values = torch.arange(1.0, 5.0)
    for place, value in changes:
        values[place] = value
    return values


def row(name: str, milliseconds: float, spread: float = 0.1, **options: Any) -> Row:
    times = Times(first_ms=1, median_ms=milliseconds, spread=spread, repeats=5, threads=1)
    return Row(case=name, size=4, unit="item", outcome=OK, beside="torch twin", ours=times, **options)


def results(*rows: Row, outcome: str = "ran", arch: Any = "cpu") -> Results:
    backend = Backend(arch=arch, outcome=outcome, rows=rows)
    machine = Machine(cpu="a", cores=2, memory_gib=8, system="Linux")
    facts = {"date": "2026-01-01", "versions": {"torch": "2"}, "commit": None, "seed": 0, "protocol": PROTOCOL}
    return Results(format="tidr-bench", version=1, machine=machine, backends=(backend,), **facts)


class TestCatalogue:
    def test_names_are_unique_and_explained(self):
        names = [entry.name for entry in CATALOGUE]
        assert len(set(names)) == len(names)
        assert all(entry.summary and entry.sizes for entry in CATALOGUE)

    def test_a_name_stands_for_all_below_it(self):
        assert [entry.name for entry in chosen(["rays.generate"])] == ["rays.generate", "rays.generate.adjoint"]
        assert {entry.name.partition(".")[0] for entry in chosen(["hash", "march"])} == {"hash", "march"}
        assert len(chosen([])) == len(CATALOGUE)

    @pytest.mark.parametrize(("name", "nearest"), [("mrach", "march"), ("hash.valeu", "hash.value"), ("has", "hash")])
    def test_an_unknown_name_gets_the_nearest(self, name, nearest):
        with pytest.raises(UsageError, match=f"the nearest is {nearest};"):
            chosen([name])

    def test_sizes_replace_all_but_fixed_ones(self):
        sizes = {entry.name: entry.sizes for entry in chosen([], [100, 50])}
        assert (sizes["march"], sizes["launch.one"]) == ((100, 50), (1,))
        assert {entry.sizes for entry in chosen(["march", "hull"], quick=True)} == {(2048,), (32768,)}


class TestGate:
    def test_equal_outputs_pass_and_are_timed(self):
        row = measured(entry(lambda: ramp(), lambda: ramp((3, 4 + 2e-6))))
        assert row.outcome == OK and row.apart == pytest.approx(4.8e-7, rel=0.1)
        assert row.ours and row.twin and row.ratio == pytest.approx(row.twin.median_ms / row.ours.median_ms)

    @pytest.mark.parametrize(
        "wrong",
        [ramp((3, 4.1)), ramp((0, math.nan)), ramp((1, math.inf)), ramp()[:3], ramp()[:, None]],
        ids=["other", "missing", "infinite", "short", "shape"],
    )
    def test_a_wrong_kernel_gets_no_time(self, wrong):
        row = measured(entry(lambda: wrong, ramp))
        assert row.failed and "output 0" in row.outcome
        assert row.ours is None and row.twin is None and row.ratio is None

    def test_a_share_may_flip(self):
        flipped = entry(lambda: ramp((0, 9.0)), ramp, Gate(1e-6, 0.25))
        assert measured(flipped).outcome == OK
        assert measured(entry(lambda: ramp((0, 9.0), (1, 9.0)), ramp, Gate(1e-6, 0.25))).failed

    def test_a_twin_may_answer_for_the_first_items_and_stay_out_of_the_race(self):
        row = measured(entry(ramp, lambda: ramp()[:2], raced=False, beside="gate only"))
        assert row.outcome == OK and row.ours and row.twin is None and row.ratio is None

    def test_what_breaks_fails_and_what_cannot_run_is_not_available(self):
        def broken() -> Tensor:
            raise ValueError("odd")

        def missing() -> Tensor:
            raise Unavailable("no derivative", why="zeros on vulkan")

        assert measured(entry(broken, ramp)).outcome == "failed: ValueError: odd"
        row = measured(entry(missing, ramp))
        assert row.outcome == "not available: zeros on vulkan" and not row.failed


class TestRace:
    def test_ours_and_twin_take_turns_on_fresh_inputs(self):
        """First calls, warm-ups, then three repeats in turn, each on inputs that nothing has touched."""
        seen = []

        def adds(name: str) -> Callable[[Tensor], Tensor]:
            def add(x: Tensor) -> Tensor:
                seen.append((name, float(x[0])))
                return x.add_(1)

            return add

        row = measured(entry(adds("ours"), adds("twin"), inputs=copies(torch.zeros(4))))
        assert row.outcome == OK and row.ours and row.ours.repeats == 3
        assert {start for _, start in seen} == {0.0}
        assert [name for name, _ in seen[:2]] == ["ours", "twin"]
        assert [name for name, _ in seen[-6:]] == ["ours", "twin"] * 3

    def test_repeats_fill_the_time(self):
        row = measured(entry(ramp, ramp), Protocol(warm_up=1, least_repeats=2, most_repeats=5, seconds=60))
        assert row.ours and row.ours.repeats == 5

    def test_threads_of_torch_are_as_before(self):
        before = torch.get_num_threads()
        measured(entry(ramp, ramp))
        assert torch.get_num_threads() == before

    def test_calls_share_a_timing(self):
        count = itertools.count()
        row = measured(entry(lambda: ramp((next(count) % 1, 1.0)), ramp, calls=10))
        assert row.ours and next(count) % 10 == 0 and next(count) > 40


class TestCeilings:
    def test_the_nearest_ceiling_counts(self):
        work = Work(bytes=100, gathers=20, operations=500)
        assert share_of_ceiling(work, 1e6, CEILINGS) == ("gather", pytest.approx(0.2))
        assert share_of_ceiling(Work(bytes=100, operations=500), 1e6, CEILINGS) == ("copy", pytest.approx(0.1))
        assert share_of_ceiling(Work(bytes=1, operations=500), 1e6, CEILINGS)[0] == "multiply-add"

    def test_a_row_carries_its_work(self):
        row = measured(entry(ramp, ramp, work=Work(bytes=100, operations=5)))
        assert (row.bytes, row.gathers, row.operations, row.ceiling) == (100, 0, 5, "copy")
        assert row.items_per_second and row.share == pytest.approx(row.items_per_second * 100 / 1e9)


class TestFiles:
    def test_what_is_written_is_read(self, tmp_path):
        kept = results(row("march", 1.5, ratio=2.0))
        (tmp_path / "a.json").write_text(kept.model_dump_json())
        assert read_results(tmp_path / "a.json") == kept

    @pytest.mark.parametrize(
        "content", [b"", b"\xff\xfe", b"{", b"[]", b'{"format": "other"}', b'{"rows": NaN}'], ids=range(6)
    )
    def test_another_file_is_refused(self, content, tmp_path):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(BadInput, match=r"not a result of tidr bench .*a\.json"):
            read_results(tmp_path / "a.json")

    def test_a_number_that_is_none_is_refused(self, tmp_path):
        fields = json.loads(results(row("march", 1.5)).model_dump_json())
        fields["backends"][0]["rows"][0]["ours"]["median_ms"] = "fast"
        (tmp_path / "a.json").write_text(json.dumps(fields))
        with pytest.raises(BadInput, match=r"backends\.0\.rows\.0\.ours\.median_ms"):
            read_results(tmp_path / "a.json")

    def test_no_file(self, tmp_path):
        for path in (tmp_path / "none.json", tmp_path):
            with pytest.raises(InputMissing):
                read_results(path)


class TestComparison:
    def test_a_change_beyond_both_spreads_is_marked(self):
        old = results(row("a", 1.0, 0.1), row("b", 1.0, 0.1), row("c", 1.0, 0.1), row("d", 1.0, 0.5))
        new = results(row("a", 1.2, 0.1), row("b", 1.2, 0.3), row("c", 0.8, 0.1), row("d", 0.8, 0.1))
        marks = [line.split()[-1] for line in compare(old, new)][1:]
        assert marks == ["slower", "1.20", "faster", "0.80"]

    def test_ratios_to_the_twin_stand_beside(self):
        line = list(compare(results(row("a", 1.0, ratio=2.0)), results(row("a", 1.0, ratio=3.0))))[-1]
        assert line.split() == ["cpu", "a", "4", "1.000", "1.000", "1.00", "2.00", "3.00"]

    def test_rows_of_one_only_and_failed_ones_are_named(self):
        failed = Row(case="c", size=4, unit="item", outcome="failed: x", beside="")
        lines = list(compare(results(row("a", 1.0), row("c", 1.0)), results(row("b", 1.0), failed)))
        assert [" ".join(line.split()) for line in lines[1:]] == [
            "cpu c 4 in B: failed: x",
            "cpu a 4 only in A",
            "cpu b 4 only in B",
        ]

    def test_other_machines_are_pointed_out(self):
        other = results(row("a", 1.0)).model_copy(update={"versions": {"torch": "3"}})
        assert "differ" in next(iter(compare(results(row("a", 1.0)), other)))


class TestBackends:
    @pytest.fixture
    def child(self, monkeypatch):
        """Run this code in place of a backend's process."""
        return lambda code: monkeypatch.setattr(running, "_command", lambda _: [sys.executable, "-c", code])

    def test_a_backend_that_is_missing_is_named(self, child):
        child(f'print({MARK!r} + \'{{"not_available": "no device"}}\')')
        lines = []
        kept = running.run_benchmarks([Request(arch="cuda")], lines.append)
        assert lines == ["cuda: not available: no device"]
        with pytest.raises(Unavailable, match="no device"):
            running.raise_failures(kept)

    def test_one_that_runs_is_enough(self):
        both = results(row("a", 1.0)).backends + results(outcome="not available: x", arch="cuda").backends
        running.raise_failures(results().model_copy(update={"backends": both}))

    def test_a_backend_that_crashes_keeps_its_rows(self, child):
        done = row("a", 1.0).model_dump_json()
        child(f"import os; print({MARK!r} + {done!r}, flush=True); print('driver fell', flush=True); os.abort()")
        kept = running.run_benchmarks([Request(arch="vulkan")], lambda _: None)
        assert kept.backends[0].rows == (row("a", 1.0),)
        assert kept.backends[0].outcome == "broke off after 1 cases: process ended with -6: driver fell"
        with pytest.raises(TidrError, match="driver fell"):
            running.raise_failures(kept)

    def test_a_failed_case_fails_the_run(self):
        failed = Row(case="march", size=4, unit="item", outcome="failed: x", beside="")
        with pytest.raises(TidrError, match="cpu march 4") as caught:
            running.raise_failures(results(failed))
        assert caught.value.exit_code == ExitCode.BUG

    def test_a_backend_without_a_device_refuses(self):
        if torch.cuda.is_available():
            pytest.skip("this machine has a CUDA device")
        (event,) = measure_backend(Request(arch="cuda"))
        assert "no CUDA device" in event.not_available  # pyright: ignore[reportAttributeAccessIssue]


class TestCommand:
    def test_list_names_cases(self, capsys):
        assert run(["bench", "--list", "hash"]) == ExitCode.DONE
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == [entry.name for entry in chosen(["hash"])]

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            (["marhc"], ExitCode.USAGE, "the nearest is march"),
            (["--sizes", "10,x"], ExitCode.USAGE, "bad value (--sizes)"),
            (["--sizes", "0"], ExitCode.USAGE, "bad value (--sizes)"),
            (["--arch", "metal"], ExitCode.USAGE, "metal"),
            (["--json", "none/a.json"], ExitCode.CANNOT_CREATE, "no such folder"),
            (["--json", "."], ExitCode.CANNOT_CREATE, "a folder, not a file"),
            (["--run", "none"], ExitCode.INPUT_MISSING, "none"),
            (["--compare", "none.json", "none.json"], ExitCode.INPUT_MISSING, "none.json"),
        ],
        ids=lambda value: "_".join(value) if isinstance(value, list) else "",
    )
    def test_mistakes_are_one_line(self, arguments, code, text, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert run(["bench", *arguments]) == code
        error = capsys.readouterr().err
        assert text in error and error.count("\n") == 1

    @pytest.mark.slow
    def test_a_run_is_shown_kept_and_compared(self, tmp_path, capsys):
        path = tmp_path / "a.json"
        arguments = ["rays.bounds", "launch", "--quick", "--arch", "cpu", "--arch", "vulkan", "--json", str(path)]
        assert run(["bench", *arguments]) == ExitCode.DONE
        shown = capsys.readouterr().out
        assert "cpu: 3 rows, 0 failed" in shown and "vulkan: " in shown
        kept = read_results(path)
        assert [backend.arch for backend in kept.backends] == ["cpu", "vulkan"]
        assert [row.outcome for row in kept.backends[0].rows] == [OK] * 3
        assert not any(word in path.read_text() for word in (str(Path.home()), str(tmp_path)))
        assert run(["bench", "--compare", str(path), str(path)]) == ExitCode.DONE
        assert "cpu rays.bounds" in capsys.readouterr().out


def test_the_taught_field_is_the_same_whichever_case_asks_first(monkeypatch):
    monkeypatch.setattr(scenes, "TEACHING_STEPS", 1)
    first, later = Scene(seed=1), Scene(seed=1)
    later.uniform(7)
    tables = [scene.fast_model.geometry.table for scene in (first, later)]
    assert torch.equal(*tables)
    first.uniform(7)
    assert torch.equal(first.uniform(5), later.uniform(5))


@pytest.mark.slow
def test_every_kernel_has_a_case_that_passes(runtime, monkeypatch):
    """All cases at their least size, in this process, and what went through the launcher meanwhile."""
    launched = set()

    launch = taichi_runtime.launch

    def noted(kernel: Any, *arguments: Any) -> Any:
        launched.add(kernel.__name__)
        return launch(kernel, *arguments)

    monkeypatch.setattr(taichi_runtime, "launch", noted)
    threads = torch.get_num_threads()
    rows = [event for event in measure_backend(Request(arch=runtime.arch, quick=True)) if isinstance(event, Row)]
    torch.set_num_threads(threads)
    assert [row.case for row in rows] == [entry.name for entry in CATALOGUE]
    assert [f"{row.case}: {row.outcome}" for row in rows if row.failed] == []
    assert _kernels() - launched - NO_CASE - (GPU_ONLY if runtime.arch == "cpu" else set()) == set()


def _kernels() -> set[str]:
    """Names of all kernels of the package."""
    folder = Path(inspect.getfile(taichi_runtime)).parent / "kernels"
    modules = [import_module(f"taichi_idr.kernels.{path.stem}") for path in folder.glob("[!_]*.py")]
    return {name for module in modules for name, value in vars(module).items() if hasattr(value, "_is_wrapped_kernel")}
