"""The DTU protocol (EVAL-6) on scenes whose distances are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import trimesh
from scipy.spatial import cKDTree

from taichi_idr.errors import BadInput, InputMissing, TidrError, UsageError
from taichi_idr.measures import dtu
from taichi_idr.measures.dtu import DtuScan, dtu_distance, read_scan, scan_number, surface_points, thinned
from taichi_idr.meshes import mesh as meshes

GRAIN = 0.012
"""mm; the nearest of points thinned to 0.2 mm is not straight above: measured 0.009 at a distance of 1 mm."""
BOX = np.array([[-10.0, -10.0, -10.0], [10.0, 10.0, 10.0]])
EVERYWHERE = np.array([0.0, 0.0, 1.0, 1e6])


def sheet(z: float, *, low: float = -5.0, high: float = 5.0) -> meshes.Mesh:
    """A square in x and y, two triangles."""
    corners = np.array([[low, low, z], [high, low, z], [high, high, z], [low, high, z]])
    return meshes.make_mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32))


def points_of(z: float, step: float = 0.1, half: float = 5.0) -> np.ndarray:
    axis = np.arange(-half, half + step / 2, step)
    return np.stack([*map(np.ravel, np.meshgrid(axis, axis)), np.full(len(axis) ** 2, z)], axis=1)


def scan_of(surface: np.ndarray, observed: np.ndarray | None = None, plane: np.ndarray = EVERYWHERE) -> DtuScan:
    return DtuScan(surface, np.ones((21, 21, 21), bool) if observed is None else observed, BOX, 1.0, plane)


def test_two_sheets_are_as_far_apart_as_they_are():
    """EVAL-6: accuracy, completeness and their mean."""
    found = dtu_distance(sheet(1.5), scan_of(points_of(0.0)))
    assert found.dtu_accuracy == pytest.approx(1.5, abs=GRAIN)
    assert found.dtu_completeness == pytest.approx(1.5, abs=GRAIN)
    assert found.dtu_chamfer == (found.dtu_accuracy + found.dtu_completeness) / 2


def test_two_spheres():
    shape = trimesh.creation.icosphere(5, 4.0)
    mesh = meshes.make_mesh(np.asarray(shape.vertices), np.asarray(shape.faces, np.int32))
    directions = np.random.default_rng(0).normal(size=(40_000, 3))
    truth = 3.0 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    found = dtu_distance(mesh, scan_of(truth))
    assert found.dtu_accuracy == pytest.approx(1.0, abs=GRAIN)
    assert found.dtu_completeness == pytest.approx(1.0, abs=GRAIN)


def test_what_the_scanner_could_not_see_does_not_count_against_accuracy():
    """A step in the mesh at x = 0; the mask knows the near half alone. Completeness needs no mask."""
    near, far = sheet(1.0), sheet(3.0)
    near.vertices[:, 0] = np.minimum(near.vertices[:, 0], -0.6)
    far.vertices[:, 0] = np.maximum(far.vertices[:, 0], 0.6)
    both = meshes.make_mesh(
        np.concatenate([near.vertices, far.vertices]), np.concatenate([near.faces, far.faces + 4]).astype(np.int32)
    )
    observed = np.ones((21, 21, 21), bool)
    whole = dtu_distance(both, scan_of(points_of(0.0), observed))
    assert whole.dtu_accuracy == pytest.approx(2.0, abs=0.02)
    observed = observed.copy()
    observed[10:] = False  # cells with their middle at x >= 0
    half = dtu_distance(both, scan_of(points_of(0.0), observed))
    assert half.dtu_accuracy == pytest.approx(1.0, abs=GRAIN)
    assert half.dtu_completeness == whole.dtu_completeness


def test_what_lies_below_the_table_need_not_be_found():
    surface = np.concatenate([points_of(1.0), points_of(-4.0)])
    above = np.array([0.0, 0.0, 1.0, 3.0])
    assert dtu_distance(sheet(0.0), scan_of(surface, plane=above)).dtu_completeness == pytest.approx(1.0, abs=GRAIN)
    both = dtu_distance(sheet(0.0), scan_of(surface)).dtu_completeness
    assert both == pytest.approx(2.5, abs=GRAIN)


def test_what_is_beyond_the_cutoff_is_left_out():
    """Points 25 mm off on either side change nothing; at 15 mm they would."""
    surface = np.concatenate([points_of(0.0), points_of(26.0, step=0.5)])
    found = dtu_distance(sheet(1.0), scan_of(surface))
    assert found.dtu_completeness == pytest.approx(1.0, abs=GRAIN)
    surface = np.concatenate([points_of(0.0), points_of(16.0, step=0.5)])
    assert dtu_distance(sheet(1.0), scan_of(surface)).dtu_completeness > 1.5
    far = dtu_distance(sheet(8.0), scan_of(points_of(-13.0)))
    assert np.isnan([far.dtu_accuracy, far.dtu_completeness, far.dtu_chamfer]).all()


def test_a_mesh_ends_at_the_margins_of_the_box():
    """A body beyond 60 mm below the box, or 120 above it, finds nothing."""
    at = {z: dtu_distance(sheet(z), scan_of(points_of(z))).dtu_completeness for z in (-69.0, -71.0, 129.0, 131.0)}
    assert at[-69.0] < 0.2 and at[129.0] < 0.2
    assert np.isnan(at[-71.0]) and np.isnan(at[131.0])


def test_points_cover_the_surface_evenly():
    points = surface_points(sheet(0.0), 0.2, np.full(3, -50.0), np.full(3, 50.0))
    generator = np.random.default_rng(1)
    anywhere = np.column_stack([generator.uniform(-4.8, 4.8, (2000, 2)), np.zeros(2000)])
    gaps, _ = cKDTree(points).query(anywhere)
    assert gaps.max() < 0.2
    assert len(points) == pytest.approx(100 / 0.2**2, rel=0.05)
    cut = surface_points(sheet(0.0), 0.2, np.array([0.0, -50, -50]), np.full(3, 50.0))
    assert cut[:, 0].min() >= 0 and len(cut) == pytest.approx(len(points) / 2, rel=0.05)


def test_points_are_those_of_a_plain_loop_over_triangles():
    """Oblique, flat and tiny triangles; some have no cell."""
    generator = np.random.default_rng(4)
    vertices = generator.uniform(-1, 1, (60, 3)) * generator.choice([0.05, 0.5, 3.0], (60, 1))
    faces = np.arange(60, dtype=np.int32).reshape(20, 3)
    expected = [*vertices]
    for a, b, c in vertices[faces]:
        long, wide = np.linalg.norm(b - a), np.linalg.norm(c - a)
        step = 0.2 * np.sqrt(long * wide / np.linalg.norm(np.cross(b - a, c - a)))
        n, m = int(long / step), int(wide / step)
        shares = [((i + 0.5) / n, (j + 0.5) / m) for i in range(n) for j in range(m)]
        expected += [a + u * (b - a) + v * (c - a) for u, v in shares if u + v < 1]
    found = surface_points(meshes.make_mesh(vertices, faces), 0.2, np.full(3, -50.0), np.full(3, 50.0))
    assert len(expected) > 600
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_parts_of_the_surface_make_the_whole(monkeypatch: pytest.MonkeyPatch):
    shape = trimesh.creation.icosphere(2, 4.0)
    mesh = meshes.make_mesh(np.asarray(shape.vertices), np.asarray(shape.faces, np.int32))
    bounds = np.full(3, -50.0), np.full(3, 50.0)
    whole = surface_points(mesh, 0.2, *bounds)
    monkeypatch.setattr(dtu, "_CHUNK_POINTS", 100)
    assert np.array_equal(surface_points(mesh, 0.2, *bounds), whole)


@pytest.mark.parametrize("count", [0, 1, 255, 3000])
def test_thinning_is_greedy_in_random_order(count: int):
    """As one loop over the shuffled points has it."""
    points = np.random.default_rng(2).uniform(0, 2, (count, 3))
    taken: list[np.ndarray] = []
    for point in points[np.random.default_rng(5).permutation(count)]:
        if not taken or np.linalg.norm(np.array(taken) - point, axis=1).min() > 0.2:
            taken.append(point)
    assert np.array_equal(thinned(points, 0.2, np.random.default_rng(5)), np.array(taken).reshape(-1, 3))


def test_thinning_holds_no_pairs_of_a_heap():
    """40,000 points in one place have 8e8 pairs."""
    points = np.random.default_rng(3).normal(size=(40_000, 3)) * 0.01
    assert len(thinned(points, 0.2, np.random.default_rng(0))) == 1


@pytest.fixture
def sample_set(tmp_path: Path) -> Path:
    """Files as the benchmark has them: scan 7."""
    (tmp_path / "Points" / "stl").mkdir(parents=True)
    (tmp_path / "ObsMask").mkdir()
    cloud = trimesh.PointCloud(points_of(0.0, step=0.5))
    cloud.export(tmp_path / "Points" / "stl" / "stl007_total.ply")
    mask = {"ObsMask": np.ones((21, 21, 21), np.uint8), "BB": BOX.astype(np.float32), "Res": np.array([[1.0]])}
    scipy.io.savemat(tmp_path / "ObsMask" / "ObsMask7_10.mat", mask, do_compression=True)
    scipy.io.savemat(tmp_path / "ObsMask" / "Plane7.mat", {"P": np.array([[0.0], [0.0], [1.0], [3.0]])})
    return tmp_path


def test_files_of_the_sample_set_are_read(sample_set: Path):
    scan = read_scan(sample_set, 7)
    assert scan.surface.shape == (441, 3) and scan.observed.all() and scan.observed.dtype == bool
    assert scan.step == 1.0 and np.array_equal(scan.box, BOX) and scan.plane.tolist() == [0, 0, 1, 3]


def replace_matrix(file: str, **values: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        known = scipy.io.loadmat(folder / "ObsMask" / file)
        kept = {key: value for key, value in (known | values).items() if key[0] != "_" and value is not None}
        scipy.io.savemat(folder / "ObsMask" / file, kept)

    return spoil


def truncate(name: str, share: float) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return spoil


FAULTS: dict[str, tuple[Callable[[Path], object], type[TidrError], str]] = {
    "no folder": (lambda f: (f / "ObsMask").rename(f / "gone"), InputMissing, "ObsMask7_10.mat"),
    "no points": (lambda f: (f / "Points/stl/stl007_total.ply").unlink(), InputMissing, "stl007"),
    "no plane": (lambda f: (f / "ObsMask/Plane7.mat").unlink(), InputMissing, "Plane7"),
    "half a mask": (truncate("ObsMask/ObsMask7_10.mat", 0.5), BadInput, "ObsMask7_10.mat"),
    "an empty mask": (truncate("ObsMask/ObsMask7_10.mat", 0.0), BadInput, "ObsMask7_10.mat"),
    "half the points": (truncate("Points/stl/stl007_total.ply", 0.5), BadInput, "stl007"),
    "no BB": (replace_matrix("ObsMask7_10.mat", BB=None), BadInput, "BB"),
    "flat mask": (replace_matrix("ObsMask7_10.mat", ObsMask=np.ones((3, 3))), BadInput, "ObsMask"),
    "text for Res": (replace_matrix("ObsMask7_10.mat", Res="one"), BadInput, "Res"),
    "Res of zero": (replace_matrix("ObsMask7_10.mat", Res=0.0), BadInput, "no size"),
    "a box inside out": (replace_matrix("ObsMask7_10.mat", BB=BOX[::-1]), BadInput, "no box"),
    "three numbers": (replace_matrix("Plane7.mat", P=np.ones(3)), BadInput, "3 numbers"),
    "NaN": (replace_matrix("Plane7.mat", P=np.array([0, 0, np.nan, 1])), BadInput, "Plane7"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_sample_set_is_refused(sample_set: Path, fault: str):
    spoil, error, text = FAULTS[fault]
    spoil(sample_set)
    with pytest.raises(error, match=text):
        read_scan(sample_set, 7)


def test_a_mask_that_promises_too_much_is_not_unpacked(sample_set: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dtu, "MOST_CELLS", 1000)
    with pytest.raises(BadInput, match="at most 1000"):
        read_scan(sample_set, 7)


def test_a_mesh_in_another_unit_is_refused():
    with pytest.raises(BadInput, match="mesh too large"):
        dtu_distance(sheet(0.0, low=-5000, high=5000), scan_of(points_of(0.0)))


@pytest.mark.parametrize(("name", "number"), [("dtu_scan65", 65), ("scan114", 114), ("Scan_24b", 24)])
def test_the_number_is_in_the_name(name: str, number: int):
    assert scan_number(name) == number


def test_a_name_without_a_number_asks_for_one():
    with pytest.raises(UsageError, match="--scan 65"):
        scan_number("skull")
