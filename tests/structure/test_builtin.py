"""Structure from motion without COLMAP, part by part and as a whole."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation
from table_scene import FOCAL, TableScene, make_scene

from taichi_idr.structure.adjustment import Bundle, adjusted
from taichi_idr.structure.averaging import agreeing, averaged_places, averaged_rotations, largest_part
from taichi_idr.structure.builtin import builtin_structure
from taichi_idr.structure.features import find_features
from taichi_idr.structure.pairs import Pair, focal_of, linked, turned
from taichi_idr.structure.plain import PlainPhoto
from taichi_idr.structure.resection import resected

VIEWS, SIZE = 24, (240, 320)
needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> TableScene:
    return make_scene(tmp_path_factory.mktemp("photos"), views=VIEWS, size=SIZE)


def photos_of(scene: TableScene) -> list[PlainPhoto]:
    return [PlainPhoto(view.image, (SIZE[1], SIZE[0]), "", None) for view in scene.views]


def aligned(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Distances (N,) of places after the best similarity, in the true ones' mean distance from their middle."""
    a, b = found - found.mean(axis=0), true - true.mean(axis=0)
    turn, _ = Rotation.align_vectors(b, a)
    turned_ = turn.apply(a)
    scale = (turned_ * b).sum() / (a * a).sum()
    return np.linalg.norm(scale * turned_ - b, axis=1) / np.linalg.norm(b, axis=1).mean()


def ring(count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cameras that look at the origin: R (V, 3, 3), world -> camera, and centres (V, 3)."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    centres = np.column_stack([3 * np.cos(turn), 3 * np.sin(turn), generator.uniform(0.5, 1.5, count)])
    R = []
    for centre in centres:
        z = -centre / np.linalg.norm(centre)
        x = np.cross(z, [0, 0, 1.0])
        x /= np.linalg.norm(x)
        R.append(np.stack([x, np.cross(z, x), z]))
    return np.array(R), centres


def pairs_of(R: np.ndarray, centres: np.ndarray, generator: np.random.Generator, wrong: int = 0) -> list[Pair]:
    """Of neighbours on a ring, a degree off, and some wrong altogether."""
    found, count = [], len(R)
    for one in range(count):
        for step in (1, 2, 3):
            a, b = sorted((one, (one + step) % count))
            noise = Rotation.from_rotvec(generator.normal(0, np.radians(0.5), 3)).as_matrix()
            direction = R[a] @ (centres[b] - centres[a])
            direction = direction / np.linalg.norm(direction) + generator.normal(0, 0.01, 3)
            found.append(
                Pair(a, b, np.zeros((50, 2), int), noise @ R[b] @ R[a].T, direction / np.linalg.norm(direction))
            )
    for pair in range(wrong):
        a, b = sorted(generator.choice(count, 2, replace=False).tolist())
        direction = generator.normal(size=3)
        other = Rotation.random(random_state=pair).as_matrix()
        found.append(Pair(a, b, np.zeros((25, 2), int), other, direction / np.linalg.norm(direction)))
    return found


@pytest.mark.parametrize("wrong", [0, 6])
def test_cameras_of_pairs(wrong):
    generator = np.random.default_rng(1)
    R, centres = ring(20, generator)
    pairs = pairs_of(R, centres, generator, wrong)
    found = averaged_rotations(pairs, 20)
    off = Rotation.from_matrix(R[0] @ R.transpose(0, 2, 1) @ found).magnitude()
    assert np.degrees(off).max() < 2
    good = agreeing(pairs, found)
    assert 60 <= len(good) <= 61
    assert aligned(averaged_places(good, found), centres).max() < 0.06


def test_views_that_hang_together():
    def pair(a: int, b: int) -> Pair:
        return Pair(a, b, np.zeros((40, 2), int), np.eye(3), np.array([1.0, 0, 0]))

    assert largest_part([pair(0, 3), pair(3, 5), pair(1, 2)], 6).tolist() == [0, 3, 5]


def observed(bundle: Bundle) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    view, point = (grid.ravel() for grid in np.meshgrid(np.arange(len(bundle.R)), np.arange(len(bundle.points))))
    return view, point, bundle.seen(view, point)[0]


@pytest.mark.parametrize("known", [False, True])
def test_adjustment_finds_cameras_points_and_lens(known):
    generator = np.random.default_rng(2)
    R, centres = ring(8, generator)
    true = Bundle(R, centres, generator.uniform(-0.8, 0.8, (60, 3)), 1.2, -0.03)
    view, point, places = observed(true)
    places = places + generator.normal(0, 1e-4, places.shape)
    places[::50] += 0.02  # wrong ones
    rough = Bundle(
        Rotation.from_rotvec(generator.normal(0, 0.02, (8, 3))).as_matrix() @ R,
        centres + generator.normal(0, 0.05, (8, 3)),
        true.points + generator.normal(0, 0.05, true.points.shape),
        1.2 if known else 1.1,
        0.0,
    )
    found = adjusted(rough, view, point, places, known=known)
    assert found.focal == pytest.approx(1.2, abs=0.01) and found.bending == pytest.approx(-0.03, abs=0.01)
    assert aligned(found.centres, centres).max() < 0.004
    assert np.median(np.linalg.norm(found.seen(view, point)[0] - places, axis=1)) < 3e-4


def test_steps_near_the_end_lead_home():
    """As they do with right derivatives."""
    generator = np.random.default_rng(3)
    R, centres = ring(5, generator)
    true = Bundle(R, centres, generator.uniform(-0.8, 0.8, (40, 3)), 1.1, 0.0)
    view, point, places = observed(true)
    turned_ = Rotation.from_rotvec(generator.normal(0, 1e-3, (5, 3))).as_matrix() @ R
    near = Bundle(turned_, centres, true.points + 1e-3 * generator.normal(size=(40, 3)), 1.1, 0.0)
    found = adjusted(near, view, point, places, known=True)
    assert np.abs(found.seen(view, point)[0] - places).max() < 1e-7


@needs_opencv
def test_a_view_is_placed_by_points():
    generator = np.random.default_rng(4)
    R, centres = ring(3, generator)
    points = generator.uniform(-0.8, 0.8, (60, 3))
    true = Bundle(R, centres, points, 1.0, 0.0)
    rays = [true.seen(np.full(60, view), np.arange(60))[0] for view in range(3)]
    rays[2][::6] += 0.2  # wrong ones
    links = {(0, 2): np.column_stack([np.arange(40)] * 2), (1, 2): np.column_stack([np.arange(30, 60)] * 2)}
    shows = {0: np.arange(60), 1: np.arange(60)}
    pose = resected(2, rays, links, shows, points, 1.2)
    assert pose is not None
    assert np.linalg.norm(pose[1] - centres[2]) < 0.01 and np.abs(pose[0] - R[2]).max() < 0.01
    assert resected(2, rays, {}, shows, points, 1.2) is None
    assert resected(2, rays, links, {0: np.full(60, -1), 1: np.full(60, -1)}, points, 1.2) is None


@needs_opencv
def test_the_focal_length_that_closes_triangles(scene):
    features = find_features([view.image for view in scene.views])
    middle = np.array([(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2])
    flat = [(part.places - middle) / SIZE[1] for part in features]
    links = linked(features, [(a, a + step) for step in (1, 2) for a in range(VIEWS - step)])
    assert focal_of(flat, links) == pytest.approx(FOCAL, rel=0.25)
    assert focal_of(flat, {}) == pytest.approx(1.2)
    for pair in turned([part / FOCAL for part in flat], links, FOCAL):
        one, other = (np.array(scene.views[view].rotation) for view in (pair.one, pair.other))
        assert np.degrees(Rotation.from_matrix(other.T @ one @ pair.rotation.T).magnitude()) < 5


@needs_opencv
def test_cameras_of_a_table_scene(scene):
    said: list[str] = []
    found = builtin_structure(photos_of(scene), None, said.append)
    assert found is not None and len(found) >= VIEWS - 2
    true = {view.image: view for view in scene.views}
    centres = np.array([true[view.image].centre for view in found.views])
    assert aligned(found.centres, centres).max() < 0.02
    p = found.views[0].pinhole
    assert p.fx == pytest.approx(FOCAL * SIZE[1], rel=0.03) and p.fx == p.fy
    assert [view.image for view in found.views] == sorted(view.image for view in found.views)
    assert np.median(found.errors) < 1 and said[0] == "features" and said[-1] == "bundle adjustment"


@needs_opencv
def test_photos_without_anything_in_common(tmp_path):
    files: list[Path] = []
    for number in range(8):
        noise = np.random.default_rng(number).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(noise).save(files[-1])
    assert builtin_structure([PlainPhoto(file, (80, 60), "", None) for file in files], None, lambda stage: None) is None
