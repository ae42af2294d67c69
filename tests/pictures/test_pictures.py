"""Pictures of a view whose normals and depth are known, and the files of `render`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ball_run import HEIGHT, RADIUS, WIDTH, BallModel, BallRun, around, make_ball_run
from PIL import Image
from torch import Tensor

from taichi_idr.commands.render import render_run
from taichi_idr.errors import CannotCreate, InputMissing
from taichi_idr.pictures import colours as pictures
from taichi_idr.pictures.rendering import RenderedView, render_view
from taichi_idr.types import Cameras

EIGHT_BIT = 1 / 255


@pytest.fixture
def ball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BallRun:
    run = make_ball_run(tmp_path)
    monkeypatch.setattr("taichi_idr.runs.loading.load_run", lambda _: run.loaded)
    return run


@pytest.fixture
def rendered() -> tuple[RenderedView, object]:
    camera = around(3, elevation=0.7)[[1]]
    return render_view(BallModel(), camera, HEIGHT, WIDTH), camera  # pyright: ignore[reportArgumentType]


def test_normals_of_a_ball_are_coloured_by_where_they_look(rendered) -> None:
    view, camera = rendered
    colours = pictures.normal_colours(view, camera)
    rows, columns = np.nonzero(view.hit)
    middle = colours[HEIGHT // 2, WIDTH // 2]
    np.testing.assert_allclose(middle, [0.5, 0.5, 1.0], atol=0.05)
    assert colours[rows[0], columns[0], 1] > 0.85  # top edge looks up
    left, right = columns.argmin(), columns.argmax()
    assert colours[rows[right], columns[right], 0] > 0.85 and colours[rows[left], columns[left], 0] < 0.15
    assert np.all(colours[~view.hit] == 1)


def test_depth_is_brightest_where_nearest(rendered) -> None:
    view, _ = rendered
    grey = pictures.depth_colours(view)
    near = np.unravel_index(view.depth.argmin(), view.depth.shape)
    assert grey[near][0] == 1
    assert view.depth[near] == pytest.approx(2.5 - RADIUS, abs=2e-3)
    assert grey[view.hit].min() == pytest.approx(pictures.FARTHEST_GREY)
    assert np.all(grey[~view.hit] == 0)


def test_a_view_without_a_hit_has_pictures() -> None:
    away = around(1, elevation=0.0)
    view = render_view(BallModel(0.01), away, 4, 4, within=np.zeros((4, 4), bool))  # pyright: ignore
    for picture in pictures.view_pictures(view, away).values():
        assert picture.shape == (4, 4, 3) and np.isfinite(picture).all()


class StripedBall(BallModel):
    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        return 0.5 + 0.4 * torch.sin(25 * points[:, 2:]).sign().expand(-1, 3)


def finely(model: BallModel, camera: Cameras, times: int) -> np.ndarray:
    """Colours (H, W, 3), mean of so many rays along each side of a pixel that hit."""
    K = camera.intrinsics.clone()
    K[:, :2] *= times
    K[:, :2, 2] += (times - 1) / 2
    fine = render_view(model, replace(camera, intrinsics=K), times * HEIGHT, times * WIDTH)  # pyright: ignore
    hit = fine.hit.reshape(HEIGHT, times, WIDTH, times, 1)
    colour = fine.colour.reshape(HEIGHT, times, WIDTH, times, 3)
    return (colour * hit).sum(axis=(1, 3)) / np.maximum(hit.sum(axis=(1, 3)), 1)


def test_smooth_pictures_average_what_falls_on_a_pixel() -> None:
    camera, model = around(3, elevation=0.7)[[1]], StripedBall()
    rough, smooth = (render_view(model, camera, HEIGHT, WIDTH, smooth=how) for how in (False, True))  # pyright: ignore
    for part in ("normals", "depth", "hit"):
        np.testing.assert_array_equal(getattr(rough, part), getattr(smooth, part))
    true = finely(model, camera, 8)
    errors = [np.abs(view.colour - true)[rough.hit].mean() for view in (rough, smooth)]
    assert errors[1] < 0.5 * errors[0]
    np.testing.assert_array_equal(smooth.colour[~rough.hit], 1)
    inside = true[..., 0]
    flat = rough.hit & ((np.abs(inside - 0.1) < 1e-6) | (np.abs(inside - 0.9) < 1e-6))
    np.testing.assert_allclose(smooth.colour[flat], rough.colour[flat], atol=1e-6)


def test_strip_is_photo_render_normals(rendered) -> None:
    view, camera = rendered
    photo = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    strip = pictures.view_strip(photo, view, camera)
    assert strip.shape == (HEIGHT, 3 * WIDTH, 3)
    np.testing.assert_array_equal(strip[:, WIDTH : 2 * WIDTH], view.colour)
    np.testing.assert_array_equal(strip[:, 2 * WIDTH :], pictures.normal_colours(view, camera))


def test_png_holds_the_picture(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).uniform(-0.1, 1.1, (5, 7, 3))
    pictures.write_png(tmp_path / "a.png", picture)
    read = np.asarray(Image.open(tmp_path / "a.png")) / 255
    np.testing.assert_allclose(read, picture.clip(0, 1), atol=EIGHT_BIT / 2 + 1e-9)


def test_orbit_has_pictures_and_films(ball: BallRun) -> None:
    files = render_run(ball.folder, frames=3)
    names = {file.relative_to(ball.folder / "renders").as_posix() for file in files}
    frames = {f"orbit/{i:04d}_{kind}.png" for i in range(3) for kind in ("colour", "normals", "depth")}
    assert names == frames | {"orbit.mp4", "orbit_normals.mp4"}
    with Image.open(ball.folder / "renders" / "orbit" / "0000_colour.png") as picture:
        assert picture.size == (WIDTH, HEIGHT)


def test_training_views_look_like_the_photos(ball: BallRun) -> None:
    render_run(ball.folder, views="training")
    for view in range(6):
        photo = np.asarray(Image.open(ball.capture / "image" / f"{view:03d}.png")).astype(int)
        render = np.asarray(Image.open(ball.folder / "renders" / "training" / f"{view:03d}_colour.png")).astype(int)
        assert np.abs(photo - render).mean() < 0.1  # measured 0.0: a pixel at the silhouette may flip


def test_heldout_views_are_seen_from_their_own_cameras(ball: BallRun, tmp_path: Path) -> None:
    files = render_run(ball.folder, views="heldout", out=tmp_path / "elsewhere")
    assert len(files) == 6 and files[0].parent == tmp_path / "elsewhere" / "heldout"
    photo = np.asarray(Image.open(ball.capture / "heldout" / "image" / "001.png")).astype(int)
    render = np.asarray(Image.open(tmp_path / "elsewhere" / "heldout" / "001_colour.png")).astype(int)
    assert np.abs(photo - render).mean() < 0.1


def test_size_and_downscale_shrink_the_same_picture(ball: BallRun, tmp_path: Path) -> None:
    render_run(ball.folder, views="training", out=tmp_path / "a", size=WIDTH // 2)
    render_run(ball.folder, views="training", out=tmp_path / "b", downscale=2)
    first, second = (np.asarray(Image.open(tmp_path / f / "training" / "000_colour.png")) for f in "ab")
    assert first.shape == (HEIGHT // 2, WIDTH // 2, 3)
    np.testing.assert_array_equal(first, second)


def test_missing_heldout_and_blocked_folder(ball: BallRun, tmp_path: Path) -> None:
    (ball.capture / "heldout").rename(tmp_path / "gone")
    with pytest.raises(InputMissing, match="no held-out photos"):
        render_run(ball.folder, views="heldout")
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotCreate):
        render_run(ball.folder, out=tmp_path / "file")
