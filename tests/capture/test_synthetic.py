"""The capture of our own: photos, silhouettes, cameras and mesh agree, in the capture's own frame and unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion

from taichi_idr import runtime as taichi_runtime
from taichi_idr.capture import synthetic
from taichi_idr.capture.reading import read_capture
from taichi_idr.errors import CannotCreate, UsageError
from taichi_idr.kernels import ewer

VIEWS, HELDOUT, SIZE = 5, 2, (72, 64)
SETTINGS = {"views": VIEWS, "heldout": HELDOUT, "size": SIZE, "samples": 3, "mesh_resolution": 112}
ON_SURFACE = 0.02  # mm: at creases Newton's steps fall short; measured 0.007
PIXEL = np.ones((3, 3), dtype=bool)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    taichi_runtime.init(request.config.getoption("--arch"))
    return synthetic.make_capture(tmp_path_factory.mktemp("own") / "ewer", **SETTINGS)


def arrays(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as archive:
        return dict(archive)


def picture(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def mask(folder: Path, index: int) -> np.ndarray:
    """(H, W) bool."""
    return picture(folder / "mask" / f"{index:03d}.png") > 127


def grown(silhouette: np.ndarray, pixels: int) -> np.ndarray:
    return np.asarray(binary_dilation(silhouette, PIXEL, iterations=pixels))


def shrunk(silhouette: np.ndarray) -> np.ndarray:
    return np.asarray(binary_erosion(silhouette, PIXEL))


def projected(world_mat: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixel coordinates (N, 2), integers at pixel centres."""
    homogeneous = points @ world_mat[:3, :3].T + world_mat[:3, 3]
    assert homogeneous[:, 2].min() > 0
    return homogeneous[:, :2] / homogeneous[:, 2:]


def splatted(world_mat: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixels (H, W) nearest to a projected point."""
    u, v = np.round(projected(world_mat, points)).astype(int).T
    covered = np.zeros(SIZE, dtype=bool)
    covered[v, u] = True
    return covered


def test_the_folder_is_an_idr_capture(capture):
    for folder, count in ((capture, VIEWS), (capture / "heldout", HELDOUT)):
        cameras = arrays(folder / "cameras.npz")
        expected = {f"{kind}_mat_{index}" for kind in ("world", "scale") for index in range(count)}
        assert set(cameras) == expected
        for index in range(count):
            assert picture(folder / "image" / f"{index:03d}.png").shape == (*SIZE, 3)
            assert set(np.unique(picture(folder / "mask" / f"{index:03d}.png"))) == {0, 255}


def test_the_reader_takes_it_as_it_is(capture):
    read = read_capture(capture)
    assert len(read) == VIEWS
    assert read.warnings == ()
    np.testing.assert_allclose(read.T_world_normalised, synthetic.scale_mat(), atol=1e-9)
    matrices = arrays(capture / "cameras.npz")
    centres = synthetic.transformed(read.T_world_normalised, read.cameras.centres.numpy())
    np.testing.assert_allclose(centres, [centre_of(matrices[f"world_mat_{k}"]) for k in range(VIEWS)], atol=1e-6)


@pytest.mark.parametrize(("part", "count"), [("", VIEWS), ("heldout", HELDOUT)])
def test_silhouettes_are_those_of_the_mesh_to_a_pixel(capture, part, count):
    vertices = trimesh.load_mesh(capture / "gt_mesh.ply").vertices
    cameras = arrays(capture / part / "cameras.npz")
    for index in range(count):
        silhouette, covered = mask(capture / part, index), splatted(cameras[f"world_mat_{index}"], vertices)
        assert not (covered & ~grown(silhouette, 1)).any()
        assert not (shrunk(silhouette) & ~covered).any()


def test_the_object_fills_the_photos_and_touches_no_border(capture):
    for index in range(VIEWS):
        silhouette = mask(capture, index)
        assert 0.15 < silhouette.mean() < 0.6
        assert not silhouette[[0, -1]].any()
        assert not silhouette[:, [0, -1]].any()


def test_photos_are_white_outside_and_lit_and_coloured_inside(capture):
    for index in range(VIEWS):
        photo = picture(capture / "image" / f"{index:03d}.png").astype(float)
        silhouette = mask(capture, index)
        assert np.all(photo[~grown(silhouette, 2)] == 255)
        inside = photo[shrunk(silhouette)]
        assert 60 < inside.mean() < 210
        assert np.ptp(inside, axis=1).max() > 100


def test_the_mesh_is_closed_one_body_with_one_handle_and_outward_faces():
    mesh = synthetic.exact_mesh(112)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.body_count == 1
    assert mesh.euler_number == 0
    assert mesh.volume > 0
    assert mesh.bounds[1, 1] - mesh.bounds[0, 1] == pytest.approx(146, abs=2)  # height in mm, y up


@pytest.mark.precision("float64")
def test_vertices_of_the_mesh_lie_on_the_surface(runtime):
    if runtime.arch == "vulkan":
        pytest.skip("SPIR-V has no atan2 and no cos in double precision")
    mesh = synthetic.exact_mesh(96)
    points = synthetic.transformed(np.linalg.inv(synthetic.T_world_object()), mesh.vertices)
    where = torch.as_tensor(points, device=runtime.device).contiguous()
    value = where.new_empty(len(where))
    taichi_runtime.launch(ewer.ewer_distance, where, value)
    assert value.abs().quantile(0.999) * synthetic.OBJECT_UNIT < ON_SURFACE


def test_the_world_frame_is_not_the_normalised_one(capture):
    cameras, mesh = arrays(capture / "cameras.npz"), trimesh.load_mesh(capture / "gt_mesh.ply")
    T_world_normalised = cameras["scale_mat_0"]
    radii = np.linalg.norm(synthetic.transformed(np.linalg.inv(T_world_normalised), mesh.vertices), axis=1)
    assert 0.6 < radii.max() < 0.9
    assert np.linalg.norm(mesh.centroid) > 500


def test_rough_cameras_are_off_by_about_what_they_say(capture):
    exact, rough = arrays(capture / "cameras.npz"), arrays(capture / "cameras_noisy.npz")
    turns, moves = [], []
    for index in range(VIEWS):
        P, Q = exact[f"world_mat_{index}"], rough[f"world_mat_{index}"]
        assert np.array_equal(exact[f"scale_mat_{index}"], rough[f"scale_mat_{index}"])
        moves.append(np.linalg.norm(centre_of(P) - centre_of(Q)))
        ray_P, ray_Q = (np.linalg.solve(M[:3, :3], [SIZE[1] / 2, SIZE[0] / 2, 1.0]) for M in (P, Q))
        turns.append(np.degrees(np.arccos(ray_P @ ray_Q / np.linalg.norm(ray_P) / np.linalg.norm(ray_Q))))
    assert 0.2 < np.mean(turns) < 3
    assert 1 < np.mean(moves) < 12


def centre_of(world_mat: np.ndarray) -> np.ndarray:
    return -np.linalg.solve(world_mat[:3, :3], world_mat[:3, 3])


def test_held_out_cameras_are_others(capture):
    training, heldout = arrays(capture / "cameras.npz"), arrays(capture / "heldout" / "cameras.npz")
    for index in range(HELDOUT):
        here = centre_of(heldout[f"world_mat_{index}"])
        apart = [np.linalg.norm(here - centre_of(training[f"world_mat_{other}"])) for other in range(VIEWS)]
        assert min(apart) > 30


def test_the_same_settings_give_the_same_bytes_and_are_not_made_twice(capture, tmp_path):
    again = synthetic.make_capture(tmp_path / "again", **SETTINGS)
    for file in ("image/003.png", "mask/003.png", "heldout/image/001.png", "gt_mesh.ply"):
        assert (again / file).read_bytes() == (capture / file).read_bytes()
    seen: list[tuple[int, int]] = []
    synthetic.make_capture(again, **SETTINGS, on_view=lambda done, total: seen.append((done, total)))
    assert seen == []
    synthetic.make_capture(again, **{**SETTINGS, "seed": 1}, on_view=lambda *count: seen.append(count))
    assert seen[-1] == (VIEWS + HELDOUT, VIEWS + HELDOUT)
    assert (again / "image/003.png").read_bytes() != (capture / "image/003.png").read_bytes()


def test_numbers_that_make_no_capture_are_refused(tmp_path):
    with pytest.raises(UsageError, match="views=2"):
        synthetic.make_capture(tmp_path, views=2)


def test_a_place_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(CannotCreate, match="cannot create folder"):
        synthetic.make_capture(tmp_path / "taken", views=3)
