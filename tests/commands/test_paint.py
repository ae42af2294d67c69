"""`tidr paint`: meshes of other programs in the colours of photos (TEX-1, LIGHT-1)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from captures import ORIGIN, edit_images, make_capture
from painted_balls import ball_mesh, true_colours
from PIL import Image

from taichi_idr.capture.exposure import exposed
from taichi_idr.capture.lights import LIGHTS
from taichi_idr.capture.reading import read_capture
from taichi_idr.commands.paint import paint_mesh
from taichi_idr.errors import BadInput, InputMissing, UsageError
from taichi_idr.meshes.mesh import Mesh, topology
from taichi_idr.meshes.reading import read_mesh
from taichi_idr.meshes.writing import write_mesh
from taichi_idr.pictures.colours import eight_bit
from taichi_idr.pictures.rendering import render_view
from taichi_idr.runs.checkpoint import load_newest, save_checkpoint
from taichi_idr.runs.painted import load_painted

SMALL = ["table.levels=6", "table.finest=64", "table.log2_rows=12", "schedule.pixels=2048", "texture.width=32"]
SIZE = (96, 80)
BRIGHT = 0.8  # EV


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = make_capture(tmp_path_factory.mktemp("paint") / "balls", views=10, size=SIZE)
    make_capture(folder / "heldout", views=3, size=SIZE)
    return folder


@pytest.fixture
def mesh(tmp_path) -> Path:
    return written(tmp_path / "mesh.ply", ball_mesh(2))


def written(path: Path, mesh: Mesh) -> Path:
    write_mesh(path, mesh)
    return path


def paint(mesh: Path, photos: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Steps suit the preset of one colour for each place."""
    usual = {"preset": "texture", "steps": 150, **options, "assignments": [*SMALL, *options.get("assignments", ())]}
    return paint_mesh(mesh, photos, out=out, **usual).numbers


def colours_of(file: Path) -> np.ndarray:
    return np.asarray(trimesh.load(file, process=False).visual.vertex_colors)[:, :3]  # pyright: ignore


def error_of(out: Path) -> float:
    """Mean absolute error of vertex colours, of 255, where the balls do not reach into each other."""
    painted = read_mesh(out / "mesh.ply")
    wrong = np.abs(colours_of(out / "mesh.ply").astype(float) - true_colours(painted.vertices)).mean(axis=1)
    return float(np.median(wrong))


def test_a_mesh_gets_the_colours_of_photos(mesh, photos, tmp_path, capsys):
    out = tmp_path / "out"
    numbers = paint(mesh, photos, out, renders=2)
    given, painted = read_mesh(mesh), read_mesh(out / "mesh.ply")
    assert len(painted.vertices) > 2 * len(given.vertices)
    np.testing.assert_array_equal(painted.vertices[: len(given.vertices)], given.vertices)
    assert topology(painted.faces, len(painted.vertices)).closed
    assert error_of(out) < 6  # measured 3
    assert numbers["psnr_clear_db"] > 30 and numbers["heldout_psnr_clear_db"] > 30  # measured 34 and 34
    assert numbers["psnr_seen_db"] < numbers["psnr_clear_db"]
    assert json.loads((out / "metrics.json").read_text()) == numbers
    assert (out / "mesh.glb").is_file() and "most_vertices" in (out / "paint.toml").read_text()
    pictures = sorted((out / "renders").iterdir())
    photo, rendered = np.split(np.asarray(Image.open(pictures[0])).astype(float), 2, axis=1)
    ball = np.asarray(Image.open(photos / "mask" / pictures[0].name)) > 0
    assert len(pictures) == 2 and np.abs(photo - rendered)[ball].mean() < 8
    said = capsys.readouterr().out
    assert "are split" in said and "held out  PSNR" in said and f"written   {out}" in said


@pytest.mark.parametrize("preset", ["texture_field", "light_field"])
def test_other_presets(preset, mesh, photos, tmp_path):
    narrow = ["texture.blocks=2", "schedule.rate=3e-3", "radiance.width=32"]
    numbers = paint(mesh, photos, tmp_path / "out", preset=preset, assignments=narrow, steps=250)
    assert numbers["heldout_psnr_clear_db"] > 25  # measured 27 and 35
    assert error_of(tmp_path / "out") < 12


def test_a_few_large_faces_need_room(photos, tmp_path, capsys):
    """A mesh as it is given has no room for colours; its renderer has."""
    coarse = written(tmp_path / "coarse.ply", ball_mesh(1))
    numbers = paint(coarse, photos, tmp_path / "out", subdivide="none", steps=100)
    assert numbers["vertices"] == 84 and "as given" in capsys.readouterr().out
    numbers = paint(coarse, photos, tmp_path / "out", subdivide=20.0, steps=100)
    assert 84 < numbers["vertices"] < 2000
    numbers = paint(coarse, photos, tmp_path / "out", subdivide=0.1, steps=2, assignments=["most_vertices=3000"])
    assert numbers["vertices"] < 3000 and "as short as 3,000 vertices allow" in capsys.readouterr().out


def test_photos_without_masks(mesh, photos, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(photos, bare)
    shutil.rmtree(bare / "mask")
    numbers = paint(mesh, bare, tmp_path / "out")
    assert numbers["psnr_clear_db"] > 28 and error_of(tmp_path / "out") < 7


def test_known_exposures_are_taken_out(mesh, photos, tmp_path):
    """Colours are those of the usual photo, and photos are compared as they were exposed."""
    bright = tmp_path / "bright"
    shutil.copytree(photos, bright)
    (bright / "exposures.json").write_text(json.dumps({"exposures": brightened(bright, 0.5)}))
    numbers = paint(mesh, bright, tmp_path / "out")
    assert numbers["psnr_clear_db"] > 28 and error_of(tmp_path / "out") < 9


def brightened(folder: Path, share: float) -> dict[str, list[float]]:
    """The first photos of a capture made brighter; the EV of all."""
    files = sorted((folder / "image").iterdir())
    stops = {file.name: [BRIGHT * (index < share * len(files))] * 3 for index, file in enumerate(files)}

    for file in files:
        colours = np.asarray(Image.open(file)) / 255
        Image.fromarray((255 * exposed(colours, np.array(stops[file.name]))).astype(np.uint8)).save(file)
    return stops


class TestLights:
    """Half of the photos by a red lamp."""

    @pytest.fixture
    def lit(self, photos, tmp_path) -> Path:
        folder = tmp_path / "lit"
        shutil.copytree(photos, folder)
        names = {f"{view:03d}.png": "lamp" if view % 2 else "day" for view in range(10)}
        (folder / LIGHTS).write_text(json.dumps({"lights": names}))
        for name, light in names.items():
            if light == "lamp":
                colours = np.asarray(Image.open(folder / "image" / name)).copy()
                colours[..., 1:] //= 3
                Image.fromarray(colours).save(folder / "image" / name)
        return folder

    def test_one_code_for_each(self, lit, mesh, tmp_path, capsys):
        options = {"preset": "light_field", "assignments": ["radiance.width=32"], "steps": 250}
        numbers = paint(mesh, lit, tmp_path / "out", light="lamp", renders=1, **options)
        assert numbers["lights"] == ["day", "lamp"] and numbers["psnr_clear_db"] > 27
        assert "taken to be in light 'day'" in capsys.readouterr().err
        red, green, blue = colours_of(tmp_path / "out" / "mesh.ply").mean(axis=0)
        assert green < 0.5 * red and blue < 0.5 * red
        picture = np.asarray(Image.open(next((tmp_path / "out" / "renders").iterdir())))
        assert picture.shape == (SIZE[1], 3 * SIZE[0], 3)

    def test_a_texture_knows_one_light(self, lit, mesh, tmp_path, capsys):
        paint(mesh, lit, tmp_path / "out", steps=2)
        assert "--preset light_field tells them apart" in capsys.readouterr().err

    def test_held_out_photos_in_a_light_of_their_own(self, lit, mesh, tmp_path):
        folder = tmp_path / "own"
        shutil.copytree(lit, folder)
        names = {f"{view:03d}.png": "dusk" for view in range(3)}
        (folder / "heldout" / LIGHTS).write_text(json.dumps({"lights": names}))
        with pytest.raises(BadInput, match=r"unknown light.*'dusk'"):
            paint(mesh, folder, tmp_path / "out", steps=2, preset="light_field")

    def test_no_such_light(self, lit, photos, mesh, tmp_path):
        with pytest.raises(UsageError, match=r"no such light.*'day', 'lamp'"):
            paint(mesh, lit, tmp_path / "out", light="noon")
        with pytest.raises(UsageError, match=r"no such light.*no lights\.json"):
            paint(mesh, photos, tmp_path / "out", light="noon")


class TestRefusals:
    def test_another_frame(self, photos, tmp_path):
        """As a program centres and scales it: no camera looks there."""
        mesh = ball_mesh(1)
        away = Mesh((mesh.vertices - ORIGIN) / 90, mesh.faces, mesh.normals)
        with pytest.raises(
            BadInput, match=r"no photo sees the mesh.*reaches 0\.\d+ around.*cameras look at \(-57"
        ) as seen:
            paint(written(tmp_path / "small.ply", away), photos, tmp_path / "out")
        assert "frame and unit" in str(seen.value)

    def test_another_unit_in_view(self, photos, tmp_path, capsys):
        """Around the point that all cameras look at there is always something to see."""
        tiny = written(tmp_path / "tiny.ply", ball_mesh(2, scale=0.3))
        paint(tiny, photos, tmp_path / "out", steps=2)
        assert "frame and unit" in capsys.readouterr().err
        paint(written(tmp_path / "usual.ply", ball_mesh(2)), photos, tmp_path / "out", steps=2)
        assert "frame" not in capsys.readouterr().err

    def test_a_mesh_beside_the_silhouettes(self, photos, mesh, tmp_path):
        folder = tmp_path / "elsewhere"
        shutil.copytree(photos, folder)

        def corner(mask: np.ndarray) -> np.ndarray:
            moved = np.zeros_like(mask)
            moved[-6:, -6:] = mask.max()
            return moved

        edit_images(folder / "mask", corner)
        with pytest.raises(BadInput, match="no photo sees the mesh"):
            paint(mesh, folder, tmp_path / "out")

    def test_unusable_meshes(self, photos, tmp_path):
        broken = ball_mesh(1)
        broken.vertices[3, 1] = np.nan
        points = Mesh(broken.vertices[:3], np.zeros((0, 3), np.int32), broken.normals[:3])
        for name, mesh in (("nan.ply", broken), ("points.ply", points)):
            with pytest.raises(BadInput, match="mesh"):
                paint(written(tmp_path / name, mesh), photos, tmp_path / "out")
        (tmp_path / "empty.obj").write_text("")
        with pytest.raises(BadInput, match="mesh"):
            paint(tmp_path / "empty.obj", photos, tmp_path / "out")

    def test_nothing_there(self, mesh, photos, tmp_path):
        (tmp_path / "run").mkdir()
        with pytest.raises(InputMissing, match=r"no mesh.*tidr mesh"):
            paint(tmp_path / "run", photos, tmp_path / "out")
        with pytest.raises(InputMissing, match="mesh not found"):
            paint(tmp_path / "none.ply", photos, tmp_path / "out")
        bare = tmp_path / "bare"
        shutil.copytree(photos, bare)
        (bare / "cameras.npz").unlink()
        with pytest.raises(InputMissing, match="camera"):
            paint(mesh, bare, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_the_mesh_of_a_run_and_of_another_program(photos, tmp_path):
    """OBJ, STL and GLB lie in the same world."""
    folder = tmp_path / "run" / "mesh"
    folder.mkdir(parents=True)
    written(folder / "mesh.ply", ball_mesh(2))
    assert paint(tmp_path / "run", photos, tmp_path / "out", steps=2)["vertices"] > 324
    solid = trimesh.Trimesh(ball_mesh(2).vertices, ball_mesh(2).faces, process=False)
    for suffix in (".stl", ".obj", ".glb"):
        solid.export(tmp_path / f"other{suffix}")
        numbers = paint(tmp_path / f"other{suffix}", photos, tmp_path / "out", steps=100)
        assert numbers["psnr_clear_db"] > 26, suffix


class TestLoading:
    def test_it_is_rendered_as_before_in_any_light(self, mesh, photos, tmp_path):
        folder = tmp_path / "lit"
        shutil.copytree(photos, folder)
        names = {f"{view:03d}.png": "lamp" if view % 2 else "day" for view in range(10)}
        (folder / LIGHTS).write_text(json.dumps({"lights": names}))
        out = tmp_path / "out"
        paint(mesh, folder, out, steps=30, preset="light_field", assignments=["radiance.width=16"], renders=1)
        loaded = load_painted(out)
        capture = read_capture(folder, T_world_normalised=loaded.T_world_normalised)
        assert loaded.lights == ["day", "lamp"]
        np.testing.assert_array_equal(colours_of(out / "mesh.ply"), loaded.painted.colours_8_bit())
        (file,) = (out / "renders").iterdir()
        view = capture.names.index(file.stem)
        loaded.painted.light = view % 2
        rendered = render_view(loaded.painted, capture.cameras[[view]], SIZE[1], SIZE[0], smooth=True)
        np.testing.assert_array_equal(np.asarray(Image.open(file))[:, SIZE[0] :], eight_bit(rendered.colour))
        loaded.painted.light = 1 - view % 2
        other = render_view(loaded.painted, capture.cameras[[view]], SIZE[1], SIZE[0], smooth=True)
        assert (other.colour != rendered.colour).any()

    def test_what_is_not_whole(self, mesh, photos, tmp_path):
        with pytest.raises(InputMissing, match="no painted mesh"):
            load_painted(tmp_path)
        paint(mesh, photos, tmp_path / "out", steps=2)
        written(tmp_path / "out" / "mesh.ply", ball_mesh(1))
        with pytest.raises(BadInput, match="mesh has changed"):
            load_painted(tmp_path / "out")

    @pytest.mark.parametrize("frame", [np.zeros((4, 4)), np.eye(3), np.diag([1.0, 2, 3, 1]), np.eye(4) * 1e-300])
    def test_a_frame_that_is_none(self, mesh, photos, tmp_path, frame):
        """Under a right hash."""
        paint(mesh, photos, tmp_path / "out", steps=2)
        state = tmp_path / "out" / "state"
        found = load_newest(state, print)
        assert found is not None
        save_checkpoint(state, found.step, found.tensors, {**found.metadata, "frame": frame.tolist()})
        with pytest.raises(BadInput, match=r"unusable checkpoint .*no similarity"):
            load_painted(tmp_path / "out")


def test_the_same_seed_gives_the_same_colours(mesh, photos, tmp_path):
    first, second, other = (tmp_path / name for name in ("first", "second", "other"))
    for out, seed in ((first, 1), (second, 1), (other, 2)):
        paint(mesh, photos, out, steps=20, seed=seed)
    np.testing.assert_array_equal(colours_of(first / "mesh.ply"), colours_of(second / "mesh.ply"))
    assert (colours_of(first / "mesh.ply") != colours_of(other / "mesh.ply")).any()
