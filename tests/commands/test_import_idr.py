"""Checkpoints of the released code: names, shapes, what is refused, and the run that comes of them (NET-11)."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captures import make_capture
from torch import Tensor

from taichi_idr.commands.import_idr import import_idr
from taichi_idr.config import FitConfig
from taichi_idr.errors import BadInput, CannotCreate, InputMissing, UsageError
from taichi_idr.files import pth as pth_reader
from taichi_idr.files.pth import read_pth
from taichi_idr.methods.catalogue import make_config, method_of
from taichi_idr.methods.idr.released import official_config, to_official
from taichi_idr.methods.idr.settings import IdrConfig
from taichi_idr.runs.loading import load_run
from taichi_idr.types import Cameras, Capture, CaptureReading

NARROW = make_config(
    "idr", [], geometry={"width": 48, "hidden_layers": 3, "skip_layer": 2, "features": 4},
    radiance={"width": 16, "hidden_layers": 1, "view_frequencies": 2},
)  # fmt: skip
FILE = Path("ModelParameters/latest.pth")


def official_state(config: FitConfig) -> dict[str, Tensor]:
    model = method_of(config).model(config, torch.device("cpu"))
    return to_official({name: value.detach() for name, value in model.state_dict().items()})


def save(path: Path, state: dict[str, Any], entry: str = "model_state_dict") -> Path:
    torch.save({"epoch": 2000, entry: state}, path)
    return path


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], tuple]:
    """The reading process's work on a file: how it ends, and what it says on standard error."""
    monkeypatch.setattr(pth_reader, "_limit_memory", lambda: None)

    def read(path: Path) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["pth_reader", str(path), "model_state_dict"])
        return pth_reader.main(), capsys.readouterr().err

    return read


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.canary,)


def test_released_networks_become_a_run(tmp_path):
    """NET-11, NET-3, NET-6: a state of the exact names and shapes, written by torch.save."""
    official = official_state(IdrConfig())
    file = save(tmp_path / "latest.pth", official)
    run = import_idr(file, out=tmp_path / "run")
    loaded = load_run(run)
    assert loaded.config == IdrConfig()
    assert loaded.step == 2000
    for name, value in to_official(loaded.model.state_dict()).items():
        torch.testing.assert_close(value.cpu(), official[name], rtol=0, atol=0)
    np.testing.assert_array_equal(loaded.T_world_normalised, np.eye(4))
    assert not loaded.capture_folder.exists()
    centres = loaded.cameras.centres
    torch.testing.assert_close(centres.norm(dim=1), torch.full((len(centres),), 3.0).double())
    with pytest.raises(CannotCreate, match="there is a run already"):
        import_idr(file, out=run)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"geometry": {"skip_layer": 0, "position_frequencies": 0}},
        {"geometry": {"skip_layer": 3, "features": 0}},
        {"radiance": {"mode": "no_view_dir", "view_frequencies": 4}},
        {"radiance": {"mode": "no_normal"}},
        {"radiance": {"view_frequencies": 0}},
    ],
    ids=str,
)
def test_settings_are_read_off_the_shapes(change):
    """NET-7 and NET-11: widths, depths, skip, encodings and mode."""
    tree = NARROW.model_dump()
    for group, settings in change.items():
        tree[group] |= settings
    config = IdrConfig.model_validate(tree)
    assert official_config(official_state(config), FILE) == config


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("implicit_network.lin1.bias", None, "missing tensor.*lin1.bias.*expected shape"),
        ("implicit_network.lin0.weight_v", None, "missing tensor.*lin0.weight_v"),
        ("implicit_network.lin1.weight_g", torch.ones(3, 1), r"shape \(3, 1\), expected \(9, 1\)"),
        ("implicit_network.lin0.weight_v", torch.ones(48, 41), r"shape .* expected"),
        ("implicit_network.lin0.weight_v", torch.ones(48), "1 dimensions, expected 2"),
        ("rendering_network.lin1.weight_v", torch.full((3, 16), torch.nan), "NaN"),
        ("rendering_network.lin0.weight_v", torch.ones(16, 5), "no network of preset idr"),
        ("ray_tracer.speed", torch.ones(1), "unknown tensor"),
    ],
)
def test_states_that_do_not_fit_are_refused(name, value, message):
    state = official_state(NARROW) | {name: value}
    with pytest.raises(BadInput, match=message):
        official_config({key: tensor for key, tensor in state.items() if tensor is not None}, FILE)


@pytest.mark.fault(55)
def test_a_malicious_file_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    """torch.save of an object that makes a file when it is unpickled."""
    canary = tmp_path / "canary"
    file = save(tmp_path / "bad.pth", {"implicit_network.lin0.bias": Payload(canary)})
    (tmp_path / "torch.py").write_text(f"open({str(canary)!r}, 'w')")  # beside the file, where the command is typed
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"refused.*pickled data can run code"):
        import_idr(file, out=tmp_path / "run")
    assert not canary.exists()
    assert not (tmp_path / "run").exists()


@pytest.mark.fault(55)
def test_other_malicious_formats_run_nothing(tmp_path, in_this_process):
    """A bare pickle, and the tar format that old versions of torch unpickle in full."""
    canary, bare, tar = tmp_path / "canary", tmp_path / "bare.pth", tmp_path / "tar.pth"
    payload = pickle.dumps(Payload(canary), protocol=2)
    bare.write_bytes(payload)
    with tarfile.open(tar, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.size = len(payload)
            archive.addfile(member, io.BytesIO(payload))
    assert in_this_process(bare)[0] == pth_reader.REFUSED
    assert in_this_process(tar) == (pth_reader.REFUSED, "the tar format of torch.save before 2017\n")
    assert not canary.exists()
    pickle.loads(payload)
    assert canary.exists()  # the payload works


def test_other_files_are_told_apart(tmp_path, in_this_process):
    noise, other = tmp_path / "noise.pth", tmp_path / "other.pth"
    torch.save({"weights": {}}, other)
    for text in ("# Read me", "junk\n"):
        noise.write_text(text)
        assert in_this_process(noise) == (pth_reader.DAMAGED, "not a file of torch.save\n")
    assert in_this_process(other) == (
        pth_reader.DAMAGED,
        "ValueError: expected a dictionary with the entry model_state_dict, found weights\n",
    )
    with pytest.raises(InputMissing, match="no such file"):
        read_pth(tmp_path / "none.pth", "model_state_dict")


def test_trained_cameras_keep_the_captures_intrinsics(tmp_path, monkeypatch):
    """NET-11, CAM-4, CAM-6: N x 7 of the file, K of the capture, in the frame of the rough cameras."""
    state, asked = official_state(NARROW), []
    poses = torch.randn(3, 7, generator=torch.Generator().manual_seed(1))
    files = {"model_state_dict": state, "pose_vecs_state_dict": {"weight": poses}}
    K = torch.diag(torch.tensor([700.0, 701, 1])).double().repeat(3, 1, 1)
    given = Cameras(torch.eye(4).double()[:3], torch.ones(3, 3).double(), K)
    T = np.diag([2.0, 2, 2, 1])

    def read_capture(folder: Path, reading: CaptureReading) -> Capture:
        asked.append(reading)
        return Capture(folder, ["a", "b", "c"], [np.empty(0)] * 3, [np.empty(0)] * 3, given, T)

    monkeypatch.setattr("taichi_idr.methods.idr.released.read_pth", lambda path, entry: dict(files[entry]))
    monkeypatch.setattr("taichi_idr.methods.idr.released.read_capture", read_capture)
    model, trained = tmp_path / "model.pth", tmp_path / "cameras.pth"
    capture = make_capture(tmp_path / "capture", views=3)
    for file in (capture / "cameras_linear_init.npz", model, trained):
        file.touch()
    run = import_idr(model, trained, out=tmp_path / "run", capture=capture)
    loaded = load_run(run)
    assert asked == [CaptureReading(cameras_file="cameras_linear_init.npz")]
    assert loaded.config.cameras.train
    torch.testing.assert_close(loaded.cameras.centres, poses[:, 4:].double())
    torch.testing.assert_close(loaded.cameras.quaternions, torch.nn.functional.normalize(poses[:, :4].double(), dim=1))
    torch.testing.assert_close(loaded.cameras.intrinsics, K)
    np.testing.assert_array_equal(loaded.T_world_normalised, T)
    files["pose_vecs_state_dict"] = {"weight": poses[:2]}
    with pytest.raises(BadInput, match=r"shape \(2, 7\), expected \(3, 7\)"):
        import_idr(model, trained, out=tmp_path / "other", capture=capture)


def test_trained_cameras_without_photos_are_refused(tmp_path):
    with pytest.raises(UsageError, match="add --capture FOLDER"):
        import_idr(FILE, Path("CamParameters/latest.pth"), out=tmp_path / "run")
