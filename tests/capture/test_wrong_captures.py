"""Cameras and masks that are wrong in ways that people get them wrong: each is told its own cause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from captures import BALLS, ORIGIN, SCALE, View, edit_cameras, make_capture, scale_mat, viewpoints

from taichi_idr.cameras.rotations import rotation_matrices
from taichi_idr.capture import order
from taichi_idr.capture.hulls import Silhouettes
from taichi_idr.capture.reading import read_capture
from taichi_idr.errors import BadInput
from taichi_idr.types import Cameras, CaptureReading

VIEWS = 10
FLIP = np.diag([1.0, -1.0, -1.0])
FRAME = 1e-3  # of the normalised unit: a point of the hull's lattice that rounding puts beside a silhouette
Damage = Callable[[Path], None]


def extrinsic(view: View) -> np.ndarray:
    """World -> camera (3, 4)."""
    return np.column_stack([view.R_world_camera.T, -view.R_world_camera.T @ view.centre])


def pose(view: View, flip: np.ndarray | None = None) -> np.ndarray:
    """Camera -> world (3, 4)."""
    rotation = view.R_world_camera if flip is None else view.R_world_camera @ flip
    return np.column_stack([rotation, view.centre])


def with_matrices(matrix: Callable[[View], np.ndarray]) -> Damage:
    return lambda folder: edit_cameras(
        folder, **{f"world_mat_{index}": matrix(view) for index, view in enumerate(viewpoints(VIEWS))}
    )


def mirrored(*signs: int) -> Damage:
    return with_matrices(lambda view: view.K @ np.diag(signs) @ extrinsic(view))


def enlarged(factor: float) -> Damage:
    return with_matrices(lambda view: np.diag([factor, factor, 1, 1]) @ view.world_mat)


def in_order(order: list[int]) -> Damage:
    """The mask order[i] under the name of i."""

    def apply(folder: Path) -> None:
        contents = [(folder / "mask" / f"{index:03d}.png").read_bytes() for index in order]
        for index, content in enumerate(contents):
            (folder / "mask" / f"{index:03d}.png").write_bytes(content)

    return apply


def far_away(folder: Path, *, single: bool = False) -> None:
    """A map's coordinates, in millimetres."""
    shift = np.eye(4)
    shift[:3, 3] = [5e8, 5.2e9, 4e5]
    matrices = [view.world_mat @ np.linalg.inv(shift) for view in viewpoints(VIEWS)]
    kind = np.float32 if single else np.float64
    edit_cameras(
        folder,
        **{f"world_mat_{index}": matrix.astype(kind) for index, matrix in enumerate(matrices)},
        **{f"scale_mat_{index}": shift @ scale_mat() for index in range(VIEWS)},
    )


COUNTING = list(range(VIEWS))
RANDOM = [np.random.default_rng(seed).permutation(VIEWS).tolist() for seed in range(3)]
CASES: dict[str, tuple[Damage, str]] = {
    "OpenGL's axes": (with_matrices(lambda view: view.K @ FLIP @ extrinsic(view)), "wrong camera axes .*OpenGL"),
    "camera to world": (with_matrices(lambda view: view.K @ pose(view)), "inverse poses .*camera to world:"),
    "OpenGL's camera to world": (with_matrices(lambda view: view.K @ pose(view, FLIP)), "inverse poses .*OpenGL's"),
    "no K": (with_matrices(extrinsic), r"does not fit its photo \(view 000\): its focal length is 1 pixels"),
    "a focal length of nothing": (
        with_matrices(lambda view: np.diag([1e-3, 1, 1]) @ view.K @ extrinsic(view)),
        r"does not fit its photo \(view 000\): its focal length is 0\.\d+ pixels",
    ),
    "K in photo sides": (
        with_matrices(lambda view: np.diag([1 / 48, 1 / 40, 1]) @ view.K @ extrinsic(view)),
        r"focal length is 1\.35 pixels: K is missing, or not in pixels",
    ),
    "mirrored in x": (mirrored(-1, 1, 1), "mirrored cameras .*negative in x"),
    "mirrored in y": (mirrored(1, -1, 1), "mirrored cameras .*negative in y"),
    "upside down": (mirrored(-1, -1, 1), "turned photos .*upside down"),
    "left-handed world": (with_matrices(lambda view: view.world_mat @ np.diag([1, 1, -1, 1])), "left-handed world"),
    "of twice the size": (enlarged(2), "photos of another size .*about 96x80, these have 48x40.* by 0.5,"),
    "of half the size": (enlarged(0.5), "photos of another size .*about 24x20, .* by (2|1.9.),"),
    "11 % too large": (enlarged(1.11), "photos of another size .*about 5[345]x4[45],"),
    "large numbers": (with_matrices(lambda view: 1e300 * extrinsic(view)), "bad matrix .*another unit of length"),
    "small numbers": (with_matrices(lambda view: 1e-300 * extrinsic(view)), "bad matrix .*another unit of length"),
    "rounded": (lambda folder: far_away(folder, single=True), r"^rounded cameras .*single precision .* to 6.2e\+02"),
    "two masks exchanged": (
        in_order([0, 1, 6, 3, 4, 5, 2, 7, 8, 9]),
        r"masks in the wrong order \(2 of 10 views\): .* view 002 the mask of 006, 006 the mask of 002;",
    ),
    "reversed": (in_order(COUNTING[::-1]), "masks in the wrong order"),
    "shifted by one": (in_order([*COUNTING[1:], 0]), "masks in the wrong order"),
    **{f"shuffled {seed}": (in_order(order), "masks in the wrong order") for seed, order in enumerate(RANDOM)},
}


@pytest.mark.parametrize("framed", [True, False], ids=["scale_mat", "no scale_mat"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.fault(26, 38, 49)
def test_each_mistake_is_named(tmp_path: Path, case: str, framed: bool) -> None:
    damage, pattern = CASES[case]
    folder = make_capture(tmp_path / "capture", views=VIEWS)
    damage(folder)
    if not framed:
        edit_cameras(folder, **{f"scale_mat_{index}": None for index in range(VIEWS)})
    with pytest.raises(BadInput, match=pattern) as caught:
        read_capture(folder)
    said = caught.value.warnings
    assert framed or case in ("large numbers", "small numbers") or "no scale_mat" in said[0]


@pytest.mark.parametrize("normalize", [True, False])
def test_a_map_s_coordinates_are_as_good_as_any(tmp_path: Path, normalize: bool) -> None:
    here, there = (make_capture(tmp_path / name, views=VIEWS) for name in ("here", "there"))
    far_away(there)
    one, two = (read_capture(folder, CaptureReading(normalize=normalize)) for folder in (here, there))
    assert one.warnings == two.warnings == ()
    assert np.allclose(one.cameras.centres, two.cameras.centres, rtol=0, atol=FRAME if normalize else 1e-6)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e3, 1e9])
def test_any_unit_will_do(tmp_path: Path, unit: float) -> None:
    """Lengths are measured at the object."""
    folders = [make_capture(tmp_path / name, views=VIEWS) for name in ("one", "other")]
    scaled = np.diag([1 / unit, 1 / unit, 1 / unit, 1.0])
    matrices = {f"world_mat_{index}": view.world_mat @ scaled for index, view in enumerate(viewpoints(VIEWS))}
    edit_cameras(folders[1], **matrices)
    one, two = (read_capture(folder, CaptureReading(normalize=True)) for folder in folders)
    assert np.allclose(one.cameras.centres, two.cameras.centres, rtol=0, atol=FRAME)
    assert two.T_world_normalised[0, 0] == pytest.approx(unit * one.T_world_normalised[0, 0], rel=FRAME)


@pytest.mark.fault(38)
def test_rough_cameras_are_accepted_with_a_word(tmp_path: Path) -> None:
    """They are what trained cameras start from."""
    random = np.random.default_rng(0)

    def rough(view: View) -> np.ndarray:
        x, y, z = np.deg2rad(1.0) * random.normal(size=3)
        turn = np.eye(3) + np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        return view.K @ np.linalg.svd(turn)[0] @ np.linalg.svd(turn)[2] @ extrinsic(view)

    folder = make_capture(tmp_path / "capture", views=VIEWS)
    with_matrices(rough)(folder)
    warnings = read_capture(folder).warnings
    assert len(warnings) == 1 and "cameras are inexact; --cameras train" in warnings[0]


def test_a_mask_that_fits_a_view_close_by_is_no_proof_of_a_wrong_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of a film, a degree apart, with rough poses: the masks fit better in another order, and no wonder."""
    angles = np.deg2rad(np.arange(10.0))
    centres = torch.tensor(np.stack([np.sin(angles), 0 * angles, np.cos(angles)], axis=1))
    cameras = Cameras(torch.tensor([[1.0, 0, 0, 0]] * 10), centres, torch.eye(3).repeat(10, 1, 1))
    views = Silhouettes([np.eye(20, dtype=bool)] * 10, [str(index) for index in range(10)])
    monkeypatch.setattr(order, "beside_hull", lambda *_: np.full(10, 0.01 if list(_[3]) != COUNTING else 0.2))
    for near, found in (([*range(2), 5, 4, 3, 2, *range(6, 10)], False), ([9, *range(1, 9), 0], True)):
        monkeypatch.setattr(order, "_best_order", lambda *_, near=near: np.array(near))
        assert (order.wrong_order(views, cameras) is not None) == found


@pytest.mark.parametrize("shift", [0.5, 0.7])
def test_what_leaves_the_file_s_sphere_is_ignored(tmp_path: Path, shift: float) -> None:
    """As NeuS's captures have it (DTU scan 24): the frame is the file's, no loss can explain what is outside of it."""
    folder = make_capture(tmp_path / "capture", views=VIEWS)
    whole = read_capture(folder)
    T = moved_frame(folder, shift, VIEWS)
    capture = read_capture(folder)
    assert np.array_equal(capture.T_world_normalised, T)
    assert len(capture.warnings) == 1 and "of scale_mat_0, and are ignored" in capture.warnings[0]
    for ours, theirs, ignored in zip(capture.masks, whole.masks, capture.ignored, strict=True):
        unused = np.zeros_like(theirs) if ignored is None else ignored
        assert np.array_equal(ours, theirs & ~unused)
        assert not (unused & ~theirs).any()
    lost = 1 - sum(mask.sum() for mask in capture.masks) / sum(mask.sum() for mask in whole.masks)
    assert 0.02 < lost < 0.25


def test_what_passes_close_by_is_ignored_as_well(tmp_path: Path) -> None:
    """Else a fit would fill the place for it, which other photos show to be air; what meets the object stays."""
    views, shift = 24, 0.7
    folder = make_capture(tmp_path / "capture", views=views, size=(192, 160))
    masks = read_capture(folder).masks
    moved_frame(folder, shift, views)
    capture = read_capture(folder)
    for view, (mask, ignored) in enumerate(zip(masks, capture.ignored, strict=True)):
        rows, columns = np.nonzero(mask)
        pixels = np.stack([columns, rows, np.ones_like(rows)])
        camera = capture.cameras[[view]]
        directions = (rotation_matrices(camera.quaternions)[0] @ torch.inverse(camera.intrinsics[0])).numpy() @ pixels
        directions = (directions / np.linalg.norm(directions, axis=0)).T
        unused = np.zeros(len(rows), bool) if ignored is None else ignored[mask]
        assert unused[~meets_object(camera.centres[0].numpy(), directions, shift, grown=0.05)].all()
        assert not unused[meets_object(camera.centres[0].numpy(), directions, shift, grown=-0.03)].any()


def moved_frame(folder: Path, shift: float, views: int) -> np.ndarray:
    """The new normalised -> world (4, 4), in which the object is moved by as much along x."""
    T = scale_mat()
    T[0, 3] = ORIGIN[0] - shift * SCALE
    edit_cameras(folder, **{f"scale_mat_{index}": T for index in range(views)})
    return T


def meets_object(origin: np.ndarray, directions: np.ndarray, shift: float, grown: float) -> np.ndarray:
    """Whether rays (R, 3) from a point meet a ball of the capture's in the unit sphere, both grown by as much."""

    def span(centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
        middle = directions @ (centre - origin)
        half = np.sqrt(radius**2 - ((centre - origin) ** 2).sum() + middle**2 + 0j)
        return np.where(half.imag == 0, middle - half.real, np.inf), middle + half.real

    enters, leaves = span(np.zeros(3), 1 + grown)
    meets = np.zeros(len(directions), bool)
    for offset, radius in BALLS:
        first, last = span(np.array([shift, 0, 0]) + offset / SCALE, radius / SCALE + grown)
        meets |= np.maximum(first, enters) < np.minimum(last, leaves)
    return meets
