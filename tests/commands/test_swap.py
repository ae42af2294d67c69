"""The shape of one run in the colours of another (section 9 of the method)."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ball_run import T_world_normalised, around
from PIL import Image

from taichi_idr.capture.formats.matrices import write_idr_cameras
from taichi_idr.commands.swap import swap_runs
from taichi_idr.config import FitConfig
from taichi_idr.errors import BadInput, InputMissing, UsageError
from taichi_idr.fields.mlp_model import SwappedModel
from taichi_idr.materials.settings import MaterialConfig
from taichi_idr.methods.catalogue import make_config, method_of
from taichi_idr.runs.checkpoint import save_checkpoint
from taichi_idr.runs.folder import RunFolder
from taichi_idr.types import Cameras

FAST: dict[str, Any] = {
    "geometry": {"levels": 2, "log2_rows": 8, "width": 16, "features": 2, "table_scale": 0.1},
    "radiance": {"width": 16, "hidden_layers": 1},
    "proxy": {"resolution": 16},
    "schedule": {"hull_resolution": 16},
}
IDR: dict[str, Any] = {
    "geometry": {"width": 64, "hidden_layers": 2, "skip_layer": 0, "position_frequencies": 2, "features": 4},
    "radiance": {"width": 16, "hidden_layers": 1},
    "tracer": {"samples": 20},
}
PICTURES: dict[str, Any] = {"frames": 3, "size": 24, "arch": "cpu"}


def model_of(config: FitConfig) -> Any:
    return method_of(config).model(config, torch.device("cpu"))


def make_run(folder: Path, config: FitConfig) -> Path:
    """A run of the field that a fit starts with: a ball, for preset `idr`."""
    model, cameras = model_of(config), around(4, elevation=0.3)
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"cameras.{name}": value for name, value in vars(cameras).items()}
    tensors["T_world_normalised"] = torch.from_numpy(T_world_normalised())
    tensors["lattice"] = torch.zeros(16, 16, 16)
    run = RunFolder(folder)
    run.create()
    run.write_config(config)
    save_checkpoint(run.checkpoints, 1, tensors, {"capture": "nowhere", "reading": {}})
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of preset idr with other weights."""
    first, second = (make_run(tmp_path / str(seed), make_config("idr", [], seed=seed, **IDR)) for seed in (1, 2))
    return first, second


def pictures_of(geometry: Path, appearance: Path, out: Path, **options: Any) -> np.ndarray:
    files = swap_runs(geometry, appearance, out=out, **PICTURES, **options)
    return np.stack([np.asarray(Image.open(file)) for file in files])


def silhouettes(pictures: np.ndarray) -> np.ndarray:
    return ~np.all(pictures == 255, axis=3)


def test_colours_change_and_silhouettes_stay(runs, tmp_path):
    """The first run's outline with the second's colours; a run swapped with itself is as it was."""
    first, second = runs
    own = pictures_of(first, first, tmp_path / "own")
    swapped = pictures_of(first, second, tmp_path / "swapped")
    other = pictures_of(second, second, tmp_path / "other")
    assert own.shape == (3, 18, 24, 3)
    outline = silhouettes(own)
    assert 0.1 < outline.mean() < 0.6
    np.testing.assert_array_equal(silhouettes(swapped), outline)
    assert (silhouettes(other) != outline).any()
    assert np.abs(swapped[outline].astype(int) - own[outline]).mean() > 5
    shared = outline & silhouettes(other)
    assert (swapped[shared] != other[shared]).any()  # the second's colours on its own surface are others


def test_the_renderer_is_fed_from_the_shape(generator):
    """Point, normal and z are all of A; with itself nothing changes."""
    shape, look = (model_of(make_config("idr", [], seed=seed, **IDR)) for seed in (1, 2))
    points = torch.rand(5, 3, generator=generator) - 0.5
    directions = torch.nn.functional.normalize(points, dim=1)
    own, other = shape.geometry.sample(points), look.geometry.sample(points)
    assert not torch.allclose(own.feature, other.feature)
    swapped, expected = SwappedModel(shape, look).colour(points, directions), look.radiance(points, directions, own)
    torch.testing.assert_close(swapped, (expected + 1) / 2)
    with_itself = SwappedModel(shape, shape).colour(points, directions)
    torch.testing.assert_close(with_itself, shape.colour(points, directions))


@pytest.fixture
def quick_material(monkeypatch):
    quick = partial(MaterialConfig, views=2, size=24, steps=20, pixels=256)
    monkeypatch.setattr("taichi_idr.materials.settings.MaterialConfig", quick)


def test_runs_of_any_presets_swap_by_a_material(runs, quick_material, tmp_path, capsys):
    """The shape's outline stays, whatever the other run is; colours without places are learned first."""
    first, second = runs
    wider = make_run(
        tmp_path / "wider", make_config("idr", [], **{**IDR, "geometry": {**IDR["geometry"], "features": 5}})
    )
    own = pictures_of(first, first, tmp_path / "own")
    assert "material" not in capsys.readouterr().out
    for name, appearance, options in (("other", wider, {}), ("asked", second, {"renderer": "material"})):
        swapped = pictures_of(first, appearance, tmp_path / name, **options)
        assert re.search(rf"material  \d+\.\d\d dB .* in 2 pictures of {appearance}", capsys.readouterr().out)
        np.testing.assert_array_equal(silhouettes(swapped), silhouettes(own))
        assert (swapped != own).any()


def test_a_path_passes_through_the_cameras_of_a_file(runs, tmp_path, monkeypatch):
    """The file is in the world frame of the geometry's capture; frames: first, one between, last."""
    seen: list[Cameras] = []

    def render_view(model: Any, camera: Cameras, height: int, width: int, *, smooth: bool) -> Any:
        seen.append(camera)
        return type("Rendered", (), {"colour": np.zeros((height, width, 3), np.float32)})

    monkeypatch.setattr("taichi_idr.pictures.rendering.render_view", render_view)
    cameras = around(5, elevation=0.1)[[0, 1]]
    write_idr_cameras(tmp_path / "path.npz", cameras, T_world_normalised())
    pictures_of(*runs, tmp_path / "out", path=str(tmp_path / "path.npz"))
    for camera, expected in zip((seen[0], seen[2]), (cameras[[0]], cameras[[1]]), strict=True):
        torch.testing.assert_close(camera.centres, expected.centres)
        torch.testing.assert_close(camera.quaternions.abs(), expected.quaternions.abs())
    assert seen[1].centres.norm().item() == pytest.approx(2.5, rel=0.01)


def test_a_film_is_written(runs, tmp_path):
    file = tmp_path / "swap.mp4"
    assert swap_runs(*runs, out=file, **PICTURES) == [file]
    assert file.read_bytes()[4:8] == b"ftyp"


def test_runs_that_do_not_fit_are_refused(runs, tmp_path):
    fast = make_run(tmp_path / "fast", make_config("fast", [], **FAST))
    geometry = {**IDR["geometry"], "features": 5}
    wider = make_run(tmp_path / "wider", make_config("idr", [], **{**IDR, "geometry": geometry}))
    out = tmp_path / "out"
    with pytest.raises(BadInput, match="presets idr and fast"):
        swap_runs(runs[0], fast, out=out, renderer="own")
    with pytest.raises(BadInput, match="the renderer of preset fast knows places of its object"):
        swap_runs(fast, fast, out=out, renderer="own")
    with pytest.raises(BadInput, match=r"geometry\.features is 4 in one and 5 in the other"):
        swap_runs(runs[0], wider, out=out, renderer="own")
    with pytest.raises(UsageError, match=r"name a \.mp4 file or a folder"):
        swap_runs(*runs, out=tmp_path / "swap.avi")
    with pytest.raises(InputMissing, match="no such camera file"):
        swap_runs(*runs, out=out, path="nowhere.npz")
    np.savez(tmp_path / "none.npz", K=np.eye(3))
    with pytest.raises(BadInput, match="no world_mat in it"):
        swap_runs(*runs, out=out, path=str(tmp_path / "none.npz"))
    write_idr_cameras(tmp_path / "one.npz", around(1, elevation=0), np.eye(4))
    with pytest.raises(BadInput, match="a path needs two"):
        swap_runs(*runs, out=out, path=str(tmp_path / "one.npz"))
