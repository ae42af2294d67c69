"""A right hash says that a file is whole, not that this program wrote it: content of every kind ends in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_fits import fit
from torch import Tensor

from taichi_idr.capture.synthetic import make_capture
from taichi_idr.cli.main import run as tidr
from taichi_idr.commands.report import report_run
from taichi_idr.errors import BadInput, Diverged, ExitCode
from taichi_idr.runs.checkpoint import load_newest, save_checkpoint
from taichi_idr.runs.folder import RunFolder
from taichi_idr.runs.loading import load_run
from taichi_idr.viewer.scene import read_scene

STEPS = 4
TRAINED = ("cameras.train=true", "exposure.mode=on", "log.metrics_interval=2")
Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures") / "ewer"
    return make_capture(folder, views=5, heldout=0, size=(48, 48), samples=1, mesh_resolution=32)


@pytest.fixture(scope="module")
def whole(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    fit(capture, run, STEPS, TRAINED)
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def tampered(run: Path, change: Callable[[Tensors, dict[str, Any]], None]) -> None:
    """The run's only checkpoint, under a right hash."""
    checkpoints = RunFolder(run).checkpoints
    found = load_newest(checkpoints, print)
    assert found is not None
    change(found.tensors, found.metadata)
    shutil.rmtree(checkpoints)
    save_checkpoint(checkpoints, found.step, found.tensors, found.metadata)


def record(**values: Any) -> Callable[[Tensors, dict[str, Any]], None]:
    return lambda _, metadata: metadata.update(values)


def tensor(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Tensors, dict[str, Any]], None]:
    def put(tensors: Tensors, _: dict[str, Any]) -> None:
        tensors[name] = change(tensors[name])

    return put


def fewer_cameras(tensors: Tensors, _: dict[str, Any]) -> None:
    for name in ("quaternions", "centres", "intrinsics"):
        tensors[f"cameras.{name}"] = tensors[f"cameras.{name}"][:-1]


def reading(**values: Any) -> Callable[[Tensors, dict[str, Any]], None]:
    return lambda _, metadata: metadata["reading"].update(values)


READ = {
    "capture_is_a_number": record(capture=3),
    "capture_with_nul": record(capture="a\0b"),
    "reading_is_a_list": record(reading=[]),
    "reading_of_another_type": reading(ignore=7),
    "reading_with_a_text_for_a_flag": reading(allow_outside="no"),
    "names_are_a_number": record(names=5),
    "names_of_numbers": record(names=[1, 2, 3, 4, 5]),
    "one_name_fewer": record(names=["000"], sizes=[[48, 48]]),
    "sizes_of_texts": record(sizes=[["a", "b"]] * 5),
    "sizes_of_zero": record(sizes=[[0, 48]] * 5),
    "fingerprints_are_a_list": record(files=[]),
    "fingerprints_of_numbers": record(files={"a": 1}),
    "cameras_fewer": fewer_cameras,
    "cameras_flat": tensor("cameras.centres", torch.flatten),
    "cameras_without_axes": tensor("cameras.quaternions", torch.sum),
    "cameras_of_integers": tensor("cameras.intrinsics", Tensor.long),
    "cameras_not_finite": tensor("cameras.centres", lambda x: x * torch.inf),
    "cameras_without_direction": tensor("cameras.quaternions", torch.zeros_like),
    "cameras_without_focal_length": tensor("cameras.intrinsics", torch.zeros_like),
    "frame_flat": tensor("T_world_normalised", torch.zeros_like),
    "frame_sheared": tensor("T_world_normalised", lambda x: x + torch.eye(4).roll(1, 0).to(x) * x[0, 0]),
    "frame_too_small": tensor("T_world_normalised", lambda x: torch.diag(torch.tensor([1e-120] * 3 + [1.0])).to(x)),
    "frame_of_another_shape": tensor("T_world_normalised", lambda x: x[:3]),
    "exposures_fewer": tensor("exposures", lambda x: x[:-1]),
    "network_of_another_shape": tensor("model.radiance.layers.0.weight", lambda x: x[:-1]),
    "network_of_complex_numbers": tensor("model.radiance.layers.0.weight", Tensor.cfloat),
    "network_of_integers": tensor("model.radiance.layers.0.weight", Tensor.long),
    "lattice_of_one_number": tensor("lattice", torch.mean),
    "lattice_missing": lambda tensors, _: tensors.pop("lattice"),
}
RESUMED = {
    "config_is_a_list": record(config=[]),
    "seconds_are_a_text": record(seconds="x"),
    "best_is_a_list": record(best_psnr_db=[]),
    "planned_is_a_text": record(planned_steps="x"),
    "planned_is_2^70": record(planned_steps=2**70),
    "moments_of_one_number": tensor("optimiser.table.first", torch.mean),
    "count_of_many": tensor("optimiser.count", lambda x: x.repeat(3)),
    "generator_short": tensor("generator", lambda x: x[:-1]),
    "generator_of_floats": tensor("generator", Tensor.float),
    "poses_of_another_shape": tensor("poses.quaternions", lambda x: x[:-1]),
    "poses_newton_broadcast": tensor("pose_optimiser.scatter", torch.mean),
    "history_steps_of_floats": tensor("history.steps", Tensor.float),
    "history_fewer_rows": tensor("history.centres", lambda x: x[:-1]),
    "history_empty": tensor("history.steps", lambda x: x[:0]),
    "course_of_another_shape": tensor("course.error", lambda x: x[:1]),
    "doubtful_beyond_the_photos": lambda tensors, _: tensors.update(doubtful=torch.tensor([2**40])),
    "doubtful_of_floats": lambda tensors, _: tensors.update(doubtful=torch.zeros(3)),
    "unseen_points_flat": tensor("unseen.points", torch.flatten),
    "unseen_points_none": tensor("unseen.points", lambda x: x[:0]),
    "adrift_flat": lambda tensors, _: tensors.update(adrift=torch.zeros(5)),
    "masks_of_another_size": lambda tensors, _: tensors.update(cut_anew=torch.zeros(3, dtype=torch.uint8)),
    "exposure_sums_flat": tensor("exposure.sums", torch.flatten),
    "exposures_of_one_photo": lambda tensors, _: tensors.update(
        {"exposure.stops": torch.zeros(1, 3), "exposure.sums": torch.ones(2, 1, 3)}
    ),
}


@pytest.mark.parametrize("case", READ)
def test_commands_that_read_a_run(run: Path, case: str) -> None:
    tampered(run, READ[case])
    with pytest.raises(BadInput, match=r"unusable checkpoint \(.*\.tidr\): .*; fit again with --fresh$"):
        load_run(run)


@pytest.mark.parametrize("case", [case for case in READ if not case.startswith(("network", "lattice", "exposures"))])
def test_the_viewer_which_reads_no_network(run: Path, case: str) -> None:
    tampered(run, READ[case])
    with pytest.raises(BadInput, match="unusable checkpoint"):
        read_scene(run)


REFITTED = ("exposures_fewer",)  # from the trainer's state


@pytest.mark.parametrize("case", [case for case in (*RESUMED, *READ) if case not in REFITTED])
def test_a_fit_that_goes_on(run: Path, capture: Path, case: str) -> None:
    tampered(run, {**RESUMED, **READ}[case])
    with pytest.raises(BadInput, match=r"unusable checkpoint|cannot go on with this run"):
        fit(capture, run, STEPS + 2, TRAINED)


def test_the_command_line_ends_with_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tampered(run, READ["names_are_a_number"])
    assert tidr(["render", str(run), "--frames", "1", "--size", "16", "--arch", "cpu"]) == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith("tidr: error: unusable checkpoint (") and error.count("\n") == 1


@pytest.mark.parametrize("name", ["model.radiance.layers.0.weight", "model.geometry.table", "lattice"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_shown(run: Path, capture: Path, name: str, value: float) -> None:
    def spoil(x: Tensor) -> Tensor:
        x.view(-1)[-1] = value
        return x

    tampered(run, tensor(name, spoil))
    for use in (load_run, read_scene, lambda run: fit(capture, run, STEPS + 2, TRAINED)):
        with pytest.raises(Diverged, match=rf"^the network is not finite \(.*\): {name} holds NaN or infinity; "):
            use(run)


@pytest.mark.parametrize(
    "line",
    [
        "render {} --frames 1 --size 16 --out {}/new",
        "eval {}",
        "report {}",
        "mesh {} --res 32",
        "view {} --static {}/page",
        "swap --geometry {} --appearance {} --out {}/film.mp4",
    ],
)
def test_every_command_that_shows_a_run_ends_with_76(run: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    tampered(run, tensor("model.radiance.layers.0.weight", lambda x: x * torch.nan))
    words = [word.replace("{}", str(run)) for word in line.split()]
    assert tidr([*words, "--arch", "cpu"]) == ExitCode.DIVERGED
    assert capsys.readouterr().err.startswith("tidr: error: the network is not finite (")


LINES = {
    "step_is_a_text": '{"step": "x", "loss": 1}',
    "loss_is_a_text": '{"step": 6, "seconds": 1, "loss": "y"}',
    "seconds_are_a_list": '{"step": 6, "seconds": [], "loss": 1}',
    "a_number_beyond_floats": '{"step": 6, "seconds": 1, "loss": 1' + "0" * 400 + "}",
    "not_a_number": '{"step": 6, "seconds": 1, "loss": NaN}',
    "infinity": '{"step": 6, "seconds": 1, "loss": 1e999}',
    "a_flag": '{"step": true, "seconds": 1, "loss": 1}',
    "no_step": '{"seconds": 1}',
    "a_list": "[1, 2]",
    "deep": "[" * 100_000,
    "not_text": "\udcff\udcfe",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_lines_of_a_log_that_the_fit_did_not_write(run: Path, line: str) -> None:
    folder = RunFolder(run)
    before = folder.read_metrics()
    with folder.metrics_file.open("ab") as file:
        file.write((line + "\n").encode(errors="surrogateescape"))
    assert folder.read_metrics() == before
    folder.rewind_metrics(STEPS)
    assert folder.read_metrics() == before


def test_a_report_of_lines_without_seconds(run: Path) -> None:
    folder = RunFolder(run)
    lines = [{"step": step, "loss": 1.0} for step in (1, 2, 3)]
    folder.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert report_run(run, film_frames=0).is_file()


EVALUATED = {
    "lists": {"faults": 3, "views": "x", "verdict": ["a"], "psnr_db": 10**400},
    "members": {"faults": [1, None], "views": [1, {"name": 3, "verdict": 4, "psnr_hit_db": "x"}]},
}


@pytest.mark.parametrize("case", EVALUATED)
def test_a_report_of_measurements_that_nobody_wrote(run: Path, case: str) -> None:
    (run / "report").mkdir(exist_ok=True)
    (run / "report" / "eval.json").write_text(json.dumps(EVALUATED[case]))
    assert report_run(run, film_frames=0).is_file()


def test_a_log_that_is_a_folder(run: Path) -> None:
    folder = RunFolder(run)
    folder.metrics_file.unlink()
    folder.metrics_file.mkdir()
    with pytest.raises(BadInput, match="unreadable log"):
        folder.read_metrics()
