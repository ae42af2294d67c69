"""`tidr mesh` to take away, and `tidr eval --mesh`: from a run whose field is known to files, and back."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from ball_run import RADIUS, SCALE, SHIFT, BallRun, make_ball_run

from taichi_idr.commands.evaluate_mesh import evaluate_mesh
from taichi_idr.commands.mesh import mesh_run
from taichi_idr.errors import BadInput, UsageError
from taichi_idr.meshes.mesh import topology, volume
from taichi_idr.meshes.reading import read_mesh, read_shown
from taichi_idr.meshes.scale import found_scale, parsed_distance
from taichi_idr.meshes.wanted import Cut, LightOptions, Placing

SMALL = LightOptions(faces=2000, texture=128)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> BallRun:
    return make_ball_run(tmp_path_factory.mktemp("light"))


@pytest.fixture
def ball(made: BallRun, monkeypatch: pytest.MonkeyPatch, runtime) -> BallRun:
    monkeypatch.setattr("taichi_idr.runs.loading.load_run", lambda run: made.loaded)
    return made


def document(glb: Path) -> dict[str, Any]:
    data = glb.read_bytes()
    (length,) = struct.unpack("<I", data[12:16])
    return json.loads(data[20 : 20 + length])


def off_ball(vertices: np.ndarray) -> float:
    """Greatest distance from the true ball, in its radii."""
    return float(np.abs(np.linalg.norm(vertices - np.array(SHIFT), axis=1) / (RADIUS * SCALE) - 1).max())


def test_a_light_mesh_stands_beside_the_fine_one(ball: BallRun, capsys) -> None:
    report = mesh_run(ball.folder, resolution=64, light=SMALL)
    assert [file.name for file in report.files] == ["mesh.ply", "mesh.glb", "light.glb"]
    said = capsys.readouterr().out
    assert "light     2,000 faces, watertight" in said and "texture   128 x 128 texels" in said
    shown = read_shown(ball.folder / "mesh" / "light.glb")
    assert len(shown.mesh.faces) == 2000 and len(shown.pictures) == 1
    assert off_ball(shown.mesh.vertices) < 0.01  # back in the capture's frame
    assert off_ball(read_mesh(ball.folder / "mesh" / "light.glb").vertices) < 0.01
    node = document(ball.folder / "mesh" / "light.glb")["nodes"][0]
    scene = trimesh.load_scene(ball.folder / "mesh" / "light.glb")
    low, high = scene.bounds
    np.testing.assert_allclose([low[1], low[0] + high[0], low[2] + high[2]], 0, atol=0.3)  # on the ground
    np.testing.assert_allclose(np.linalg.det(scene.graph[scene.graph.nodes_geometry[0]][0][:3, :3]), 1, atol=1e-6)
    assert np.array(node["extras"]["T_capture_vertices"]).shape == (4, 4)


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_a_written_mesh_looks_like_the_photos(ball: BallRun, tmp_path: Path, suffix: str, capsys) -> None:
    out = tmp_path / f"a{suffix}"
    options = LightOptions(faces=4000, texture=256, suffixes=(suffix,))
    mesh_run(ball.folder, resolution=64, out=out, light=options)
    for place in (ball.folder, ball.capture):
        numbers = evaluate_mesh(place, out)
        assert numbers["psnr_db"] > 33 and numbers["heldout_psnr_db"] > 33 and numbers["mask_iou"] > 0.98
    assert "PSNR" in capsys.readouterr().out


def test_an_obj_is_closed_and_names_its_pictures(ball: BallRun, tmp_path: Path) -> None:
    out = tmp_path / "a.obj"
    report = mesh_run(ball.folder, resolution=48, out=out, light=LightOptions(2000, 128, True, suffixes=(".obj",)))
    assert [file.name for file in report.files] == ["a.obj", "a.mtl", "a.jpg", "a-normals.png"]
    assert all(file.is_file() for file in report.files)
    assert "map_Kd a.jpg" in (tmp_path / "a.mtl").read_text()
    lines = out.read_text().splitlines()
    faces = [[int(word.split("/")[0]) - 1 for word in line.split()[1:]] for line in lines if line.startswith("f ")]
    assert topology(np.array(faces, np.int32), sum(line.startswith("v ") for line in lines)).closed


def test_stl_is_in_millimetres_and_says_its_volume(ball: BallRun, tmp_path: Path, capsys) -> None:
    out = tmp_path / "a.stl"
    options, placing = LightOptions(2000, suffixes=(".stl",)), Placing(unit="mm", world_unit="cm")
    mesh_run(ball.folder, resolution=64, out=out, light=options, placing=placing)
    mesh = read_mesh(out)
    radius = 10 * RADIUS * SCALE
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx(2 * radius, rel=0.01)
    assert volume(mesh.vertices, mesh.faces) == pytest.approx(4.19 * radius**3, rel=0.02)
    assert f"volume    {volume(mesh.vertices, mesh.faces):.4g} cubic mm" in capsys.readouterr().out


def test_usd_has_the_texture_and_the_unit(ball: BallRun, tmp_path: Path) -> None:
    Usd = pytest.importorskip("pxr.Usd")
    from pxr import UsdGeom, UsdShade  # pyright: ignore

    out = tmp_path / "a.usdz"
    options, placing = LightOptions(2000, 128, True, suffixes=(".usdz",)), Placing(unit="mm", world_unit="mm")
    mesh_run(ball.folder, resolution=48, out=out, light=options, placing=placing)
    stage = Usd.Stage.Open(str(out))
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1e-3 and UsdGeom.GetStageUpAxis(stage) == "Y"
    shape = UsdGeom.Mesh(stage.GetPrimAtPath("/object/mesh"))
    cache = UsdGeom.XformCache()
    T = np.array(cache.GetLocalToWorldTransform(shape.GetPrim()))
    points = np.array(shape.GetPointsAttr().Get()) @ T[:3, :3] + T[3, :3]
    assert np.ptp(points, axis=0) == pytest.approx(2 * RADIUS * SCALE, rel=0.02)
    material, _ = UsdShade.MaterialBindingAPI(shape.GetPrim()).ComputeBoundMaterial()
    assert material and len(UsdGeom.PrimvarsAPI(shape).GetPrimvar("st").Get()) > 1000
    files = [
        shader.GetInput("file").Get().resolvedPath
        for shader in map(UsdShade.Shader, stage.Traverse())
        if shader and shader.GetInput("file")
    ]
    assert len(files) == 2 and all("a.usdz[" in file for file in files)


def test_a_cut_mesh_is_closed_and_stays_where_it_was(ball: BallRun, tmp_path: Path) -> None:
    """Half a ball by a plane, an eighth by a box."""
    half = Cut(planes=((0.0, 0.0, 1.0, SHIFT[2]),))
    eighth = Cut((*SHIFT, 1e4, 1e4, 1e4))
    for cut, share in ((half, 2), (eighth, 8)):
        out = tmp_path / "a.ply"
        report = mesh_run(ball.folder, resolution=128, out=out, cut=cut)
        mesh = read_mesh(out)
        assert report.topology.closed
        assert volume(mesh.vertices, mesh.faces) == pytest.approx(4.19 / share * (RADIUS * SCALE) ** 3, rel=0.03)
        assert (mesh.vertices > np.array(SHIFT) - 1).all(axis=1).all() or cut is half
    with pytest.raises(UsageError, match="nothing of the object is left"):
        mesh_run(ball.folder, resolution=32, cut=Cut((1e4, 1e4, 1e4, 2e4, 2e4, 2e4)))


def test_up_turns_the_vertices(ball: BallRun, tmp_path: Path) -> None:
    """The cameras of the ball have z upward, and so a plane that leaves its upper half leaves it above."""
    half = Cut(planes=((0.0, 0.0, 1.0, SHIFT[2]),))
    for up, axis in (("y", 1), ("z", 2)):
        out = tmp_path / f"{up}.ply"
        mesh_run(ball.folder, resolution=64, out=out, cut=half, placing=Placing(up=up))  # pyright: ignore
        extent = np.ptp(read_mesh(out).vertices, axis=0)
        assert extent[axis] == pytest.approx(RADIUS * SCALE, rel=0.05)
        assert np.delete(extent, axis) == pytest.approx(2 * RADIUS * SCALE, rel=0.05)


def test_known_distances_give_the_unit_and_how_sure_it_is() -> None:
    one = parsed_distance("0,0,0 3,4,0 10mm")
    assert found_scale([one]).metres == pytest.approx(2e-3) and found_scale([one]).uncertainty is None
    other = parsed_distance("1,1,1 1,1,2 0.21cm")
    scale = found_scale([one, other])
    assert 1.99e-3 < scale.metres < 2.01e-3 and 0.001 < (scale.uncertainty or 0) < 0.02
    exact = found_scale([one, parsed_distance("0,0,0 0,0,1 2mm")])
    assert exact.uncertainty == pytest.approx(0, abs=1e-9)


def test_a_scale_is_said_and_used(ball: BallRun, tmp_path: Path, capsys) -> None:
    x, y, z = SHIFT
    reach = RADIUS * SCALE
    known = tuple(parsed_distance(f"{x - reach},{y},{z} {x + reach},{y},{z} 50mm") for _ in range(2))
    out = tmp_path / "a.ply"
    mesh_run(ball.folder, resolution=64, out=out, placing=Placing(known=known))
    assert np.ptp(read_mesh(out).vertices, axis=0) == pytest.approx(50, rel=0.01)
    assert "scale     a world unit is 0.5 mm, to 0.00%" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["", "0,0,0 1,1,1", "0,0,0 0,0,0 1mm", "0,0,0 1,0,0 -1mm", "0,0,0 1,0,0 1ft", "0,0,0 1e99,0,0 1mm mm"]
)
def test_distances_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="no known distance"):
        parsed_distance(text)


def test_what_cannot_be_asked_for(ball: BallRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unit is not known"):
        mesh_run(ball.folder, resolution=32, placing=Placing(unit="mm"))
    for wrong in ({"faces": 3}, {"texture": 0}, {"texture": 10**6}, {"texture": "off", "normal_map": True}):
        with pytest.raises(UsageError):
            LightOptions(**wrong)  # pyright: ignore


def test_meshes_that_cannot_be_measured(ball: BallRun, tmp_path: Path) -> None:
    bare, far = tmp_path / "bare.stl", tmp_path / "far.ply"
    trimesh.creation.icosphere(2).export(bare)
    with pytest.raises(BadInput, match="no colours"):
        evaluate_mesh(ball.folder, bare)
    nan = trimesh.creation.icosphere(1)
    nan.visual.vertex_colors = [255, 0, 0, 255]  # pyright: ignore
    nan.vertices[0] = np.nan
    nan.export(far)
    with pytest.raises(BadInput, match="unusable mesh"):
        evaluate_mesh(ball.folder, far)


def test_a_mesh_elsewhere_is_warned_of_and_cleaning_leaves_nothing(ball: BallRun, tmp_path: Path, capsys) -> None:
    away = trimesh.creation.icosphere(2, 40).apply_translation(np.add(SHIFT, (200, 0, 0)))
    away.visual.vertex_colors = [255, 0, 0, 255]  # pyright: ignore
    away.export(tmp_path / "away.ply")
    assert evaluate_mesh(ball.folder, tmp_path / "away.ply")["mask_iou"] < 0.5
    assert "is it in the capture's frame and unit?" in capsys.readouterr().err
    with pytest.raises(BadInput, match="lies in the silhouettes"):
        evaluate_mesh(ball.folder, tmp_path / "away.ply", clean=True)


def test_cleaning_takes_away_what_silhouettes_lack(ball: BallRun, tmp_path: Path) -> None:
    """The ball, and a crumb beside it."""
    parts = [
        trimesh.creation.icosphere(3, RADIUS * SCALE),
        trimesh.creation.icosphere(1, 9).apply_translation((70, 0, 0)),
    ]
    both = trimesh.util.concatenate(parts).apply_translation(SHIFT)
    both.visual.vertex_colors = [128, 128, 128, 255]  # pyright: ignore
    both.export(tmp_path / "both.ply")
    rough, clean = (evaluate_mesh(ball.folder, tmp_path / "both.ply", clean=clean) for clean in (False, True))
    assert clean["mask_iou"] > rough["mask_iou"] + 0.01 and clean["mask_iou"] > 0.97


def test_a_texture_elsewhere_is_not_read(ball: BallRun, tmp_path: Path) -> None:
    """An OBJ whose material names a file outside of its folder."""
    from PIL import Image

    inner = tmp_path / "inner"
    inner.mkdir()
    Image.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "secret.png")
    (inner / "a.mtl").write_text("newmtl m\nmap_Kd ../secret.png\n")
    (inner / "a.obj").write_text(
        "mtllib a.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"
    )
    try:
        pictures = read_shown(inner / "a.obj").pictures
    except BadInput:
        pictures = []
    assert not any((picture == (9, 8, 7)).all() for picture in pictures)
