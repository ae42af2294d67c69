"""The trainer of preset unisurf: what pixels ask for, schedules, a shape without masks, a fit that goes on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import make_capture
from PIL import Image
from tiny_fits import assert_same_run, stopped_after

from taichi_idr import runtime
from taichi_idr.capture.reading import read_capture
from taichi_idr.commands.fit import fit_capture
from taichi_idr.commands.mesh import mesh_run
from taichi_idr.errors import UsageError
from taichi_idr.methods.catalogue import make_config
from taichi_idr.methods.unisurf.settings import UnisurfConfig
from taichi_idr.methods.unisurf.trainer import UnisurfTrainer
from taichi_idr.pictures.rendering import render_view
from taichi_idr.runs.loading import load_run
from taichi_idr.types import Capture

TINY = [
    "geometry.width=32", "geometry.hidden_layers=3", "geometry.skip_layer=0", "geometry.features=16",
    "geometry.position_frequencies=3", "radiance.width=32", "radiance.hidden_layers=2", "surface.samples=48",
    "interval.samples=16", "interval.before=8", "schedule.rays=200", "schedule.rate=2e-3",
    "log.metrics_interval=40", "log.checkpoint_interval=40", "log.judge_seconds=0",
]  # fmt: skip


def bare_capture(folder: Path, views: int) -> tuple[Path, list[np.ndarray]]:
    """Two balls before black, without masks; and the masks."""
    make_capture(folder, views=views)
    masks = []
    for path in sorted((folder / "mask").iterdir()):
        masks.append(np.array(Image.open(path)) > 0)
        photo = folder / "image" / path.name
        Image.fromarray(np.array(Image.open(photo)) * masks[-1][..., None]).save(photo)
    shutil.rmtree(folder / "mask")
    return folder, masks


def trainer(capture: Capture, *more: str, **settings) -> UnisurfTrainer:
    config = make_config("unisurf", [*TINY, *more], **settings)
    assert isinstance(config, UnisurfConfig)
    return UnisurfTrainer(config, capture, runtime.current().device)


def test_uni_6_no_mask_is_looked_at(tmp_path):
    """UNI-6: colours of all pixels, and normals like their neighbours'; no mask is in any loss."""
    capture = read_capture(make_capture(tmp_path / "balls", views=4))
    inverted = replace(capture, masks=[~mask for mask in capture.masks])
    ours, other = (trainer(one).step() for one in (capture, inverted))
    assert torch.equal(ours.loss, other.loss) and set(ours.terms) == {"colour", "smooth"}
    flat = trainer(capture, "loss.smooth_weight=0", "interval.before_from=0")
    report = flat.losses(flat.pixels.at_step(0))
    assert report.terms["smooth"] == 0 and report.loss == report.terms["colour"] > 0
    assert 0 < ours.terms["smooth"] / 0.005 < 2  # the mean length of a difference of unit normals


def test_uni_4_5_and_7_follow_the_published_schedule(tmp_path):
    """UNI-4, UNI-5: shares of the steps; UNI-7: rays, rate and epochs, 400,000 steps of 49 photos."""
    found = trainer(read_capture(make_capture(tmp_path / "balls", views=4)), "schedule.steps=400000")
    widths, befores = [], []
    for found.steps_done in (0, 4_999, 5_000, 199_714, 199_716, 400_000):
        widths.append(found.half_width)
        befores.append(found.before)
    assert widths == pytest.approx([2, 1.856, 1.856, 0.1, 0.1, 0.1], abs=1e-3)
    assert befores == [0, 0, 8, 8, 8, 8]
    config = UnisurfConfig()
    schedule = config.schedule
    assert (schedule.rays, schedule.rate, schedule.rate_decay, schedule.rate_epochs) == (1024, 1e-4, 0.5, (4000, 8000))
    assert abs(49 * schedule.epochs - 400_000) < 49
    assert (config.interval.samples, config.interval.before, config.surface.samples) == (64, 32, 256)


@pytest.mark.slow
def test_a_shape_comes_of_photos_alone(tmp_path):
    """UNI-8: and is meshed. Silhouettes, which the fit has not seen, tell how good it is."""
    folder, masks = bare_capture(tmp_path / "balls", views=10)
    fit_capture(folder, out=tmp_path / "run", preset="unisurf", assignments=TINY, steps=600, threads=1)
    loaded = load_run(tmp_path / "run")
    overlaps = []
    for view, mask in enumerate(masks):
        hit = render_view(loaded.model, loaded.cameras[[view]], *mask.shape).hit
        overlaps.append((hit & mask).sum() / (hit | mask).sum())
    assert np.mean(overlaps) > 0.9
    report = mesh_run(tmp_path / "run", resolution=48)
    assert report.topology.closed and report.clipped == 0
    assert report.size == pytest.approx((100, 85, 80), rel=0.1)  # millimetres, both balls together


def test_a_fit_goes_on_bit_by_bit(tmp_path):
    folder, _ = bare_capture(tmp_path / "balls", views=4)
    options = {"preset": "unisurf", "assignments": [*TINY, "schedule.rays=50"], "steps": 60, "threads": 1}
    fit_capture(folder, out=tmp_path / "whole", **options)
    with stopped_after(UnisurfTrainer, 33):
        fit_capture(folder, out=tmp_path / "parts", **options)
    fit_capture(folder, out=tmp_path / "parts", **options)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    model = load_run(tmp_path / "whole").model
    assert model.radius == 1 and float(model.get_buffer("reach")) < 0.2


def test_cameras_are_not_trained(tmp_path):
    folder, _ = bare_capture(tmp_path / "balls", views=4)
    with pytest.raises(UsageError, match="method unisurf takes them as they are"):
        fit_capture(folder, out=tmp_path / "run", preset="unisurf", cameras="train")
