"""DVR-7: maps of `depth/` in every kind of file, and points of structure from motion, along the rays of a Capture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from captures import BALLS, ORIGIN, depth_map, make_capture, viewpoints, write_depths
from PIL import Image

from taichi_idr.cameras.pinhole import inverse_intrinsics
from taichi_idr.cameras.rotations import rotation_matrices
from taichi_idr.capture.depths import middles
from taichi_idr.capture.distortion import Straightening
from taichi_idr.capture.fingerprints import fingerprints
from taichi_idr.capture.formats.catalogue import find_capture
from taichi_idr.capture.formats.source import Lens
from taichi_idr.capture.memory import PER_DEPTH, check_memory
from taichi_idr.capture.reading import read_capture
from taichi_idr.commands.convert import convert_capture
from taichi_idr.errors import BadInput, InputMissing, TidrError
from taichi_idr.types import Capture

VIEWS = 4
SMALL_SIZE = (24, 20)
STEP = 0.01  # mm, of whole numbers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = make_capture(tmp_path / "balls", views=VIEWS)
    write_depths(folder, views=VIEWS)
    return folder


def known_points(capture: Capture) -> np.ndarray:
    """World points (N, 3) that a capture's depths tell of."""
    found, T = [np.zeros((0, 3))], capture.T_world_normalised
    directions = rotation_matrices(capture.cameras.quaternions) @ inverse_intrinsics(capture.cameras)
    for view, depth in enumerate(capture.depths):
        if depth is not None:
            row, column = np.nonzero(depth)
            rays = np.stack([column, row, np.ones_like(row)], axis=1) @ directions[view].numpy().T
            rays /= np.linalg.norm(rays, axis=1, keepdims=True)
            points = capture.cameras.centres[view].numpy() + depth[row, column][:, None] * rays
            found.append(points @ T[:3, :3].T + T[:3, 3])
    return np.concatenate(found)


def off_surface(capture: Capture) -> np.ndarray:
    """Distance in mm from the balls of every point that a capture's depths tell of."""
    points = known_points(capture) - ORIGIN
    apart = [np.linalg.norm(points - offset, axis=1) - radius for offset, radius in BALLS]
    return np.abs(apart).min(axis=0)


def rewritten(folder: Path, change, suffix: str = ".npy") -> None:
    """Every map through `change`, which returns an array or a picture."""
    for path in sorted((folder / "depth").iterdir()):
        changed = change(np.load(path))
        path.unlink()
        target = path.with_suffix(suffix)
        if isinstance(changed, Image.Image):
            changed.save(target)
        elif suffix == ".npz":
            np.savez_compressed(target, depth=changed, confidence=np.ones(3))
        elif suffix == ".pfm":
            head = f"Pf\n{changed.shape[1]} {changed.shape[0]}\n-1.0\n"
            target.write_bytes(head.encode() + changed[::-1].astype("<f4").tobytes())
        else:
            np.save(target, changed)


def whole(depth: np.ndarray) -> np.ndarray:
    return np.rint(depth / STEP).astype(np.uint16)


KINDS = {
    "npy": (lambda depth: depth, ".npy"),
    "double, infinite where unknown": (lambda depth: np.where(depth > 0, depth, np.inf).astype(float), ".npy"),
    "NaN where unknown": (lambda depth: np.where(depth > 0, depth, np.nan), ".npy"),
    "npz of several arrays": (lambda depth: depth[..., None], ".npz"),
    "pfm": (lambda depth: depth, ".pfm"),
    "png of 16 bits": (lambda depth: Image.fromarray(whole(depth)), ".png"),
    "tiff of floats": (lambda depth: Image.fromarray(depth.astype(np.float32)), ".tif"),
    "whole numbers": (lambda depth: whole(depth).astype(np.int32), ".npy"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_dvr_7_all_kinds_of_maps_lead_to_the_surface(folder, kind):
    """DVR-7: z in millimetres becomes distance along unit rays of the normalised frame."""
    rewritten(folder, *KINDS[kind])
    (folder / "depth.json").write_text(json.dumps({"unit_per_step": STEP}))
    capture = read_capture(folder, depth="maps")
    assert [depth.dtype for depth in capture.depths if depth is not None] == [np.float32] * VIEWS
    assert off_surface(capture).max() < STEP
    for depth, mask in zip(capture.depths, capture.masks, strict=True):
        assert depth is not None and np.array_equal(depth > 0, mask)
    assert read_capture(folder).depths == ()


def test_photos_may_lack_a_map_and_maps_may_lack_pixels(folder):
    (folder / "depth" / "001.npy").unlink()
    rewritten(folder, lambda depth: depth * (np.indices(depth.shape)[1] % 3 == 0))
    np.save(folder / "depth" / "002.npy", np.zeros((40, 48), np.float32))
    capture = read_capture(folder, depth="maps")
    first, second, third, _ = capture.depths
    assert second is None and first is not None and third is not None and not third.any()
    assert 0 < np.count_nonzero(first) < 0.5 * capture.masks[0].sum()
    assert any("know nothing of the object (002)" in text for text in capture.warnings)


def test_maps_of_a_whole_fraction_of_the_size_are_enlarged(folder):
    for index, view in enumerate(viewpoints(VIEWS, SMALL_SIZE)):
        np.save(folder / "depth" / f"{index:03d}.npy", depth_map(view, SMALL_SIZE).astype(np.float32))
    capture = read_capture(folder, depth="maps")
    assert np.median(off_surface(capture)) < 2.0  # a pixel is 5 mm wide
    assert all(depth is not None and depth.shape == (40, 48) for depth in capture.depths)


def test_shrunk_maps_stay_on_the_surface_at_edges(folder):
    """Of each block the middle one of the known values; a mean would float between the two balls."""
    values = np.array([[1.0, 1, 0, 0], [1, 9, 0, 7], [9, 9, 2, 4], [1, 9, 6, 8]])
    assert middles(values, 2).tolist() == [[1, 7], [9, 4]]
    assert middles(np.arange(1.0, 10).reshape(3, 3), 3).item() == 5
    capture = read_capture(folder, downscale=2, depth="maps")
    apart = off_surface(capture)
    assert np.median(apart) < 2.0 and np.percentile(apart, 95) < 8.0  # pixels of 10 mm


def test_maps_of_bent_photos_are_straightened_by_the_nearest_value(tmp_path):
    bent = convert_capture(make_capture(tmp_path / "plain", views=VIEWS), tmp_path / "bent", to="transforms")
    tree = json.loads((bent / "transforms.json").read_text())
    (bent / "transforms.json").write_text(json.dumps({**tree, "k1": 0.05}))
    (bent / "depth").mkdir()
    layout = find_capture(bent)
    (pinhole, *_), height = (view.pinhole for view in layout.views), 40
    lens = Straightening(Lens((0.05, 0.0, 0.0, 0.0)), pinhole)
    edge = np.where(np.arange(48) < 24, 300.0, 350.0) * np.ones((height, 1))
    straight = lens.nearest(edge)
    assert set(np.unique(straight[~lens.unseen])) == {300.0, 350.0} and (straight[lens.unseen] == 0).all()
    smooth = np.asarray(lens.image(Image.fromarray((edge / 5).astype(np.uint8)))) * 5.0
    assert np.mean(np.abs(straight - smooth)[~lens.unseen] < 25) > 0.98
    for index in range(VIEWS):
        np.save(bent / "depth" / f"{index:03d}.npy", edge)
    capture = read_capture(bent, depth="maps")
    for depth, mask in zip(capture.depths, capture.masks, strict=True):
        assert depth is not None and np.array_equal(depth > 0, mask & (straight > 0))


def test_what_a_fit_reads_is_in_its_fingerprints_and_its_memory(folder):
    (folder / "depth.json").write_text('{"unit_per_step": 1}')
    without, layout = find_capture(folder), find_capture(folder, depth="maps")
    more = set(fingerprints(folder, layout)) - set(fingerprints(folder, without))
    assert more == {"depth.json", *(f"depth/{index:03d}.npy" for index in range(VIEWS))}
    pixels = VIEWS * 48 * 40
    assert check_memory(layout, 1).needed - check_memory(without, 1).needed == PER_DEPTH * pixels


def _of_another_size(depth: Path) -> None:
    np.save(depth / "002.npy", np.ones((30, 48)))


def _negative(depth: Path) -> None:
    values = np.load(depth / "002.npy")
    values[3, 4] = -0.5
    np.save(depth / "002.npy", values)


def _all_unknown(depth: Path) -> None:
    for path in depth.iterdir():
        np.save(path, np.full((40, 48), np.nan))


def _metres_not_millimetres(depth: Path) -> None:
    for path in depth.iterdir():
        np.save(path, np.load(path) / 1000)


def _eight_bits(depth: Path) -> None:
    (depth / "002.npy").unlink()
    Image.new("L", (48, 40), 100).save(depth / "002.png")


def _without_a_unit(depth: Path) -> None:
    np.save(depth / "002.npy", np.ones((40, 48), np.uint16))


def _pickled(depth: Path) -> None:
    np.save(depth / "002.npy", np.array([[print]], dtype=object), allow_pickle=True)


def _three_values_a_pixel(depth: Path) -> None:
    np.save(depth / "002.npy", np.ones((40, 48, 3)))


def _jpeg(depth: Path) -> None:
    Image.new("L", (48, 40)).save(depth / "002.jpg")


def _openexr(depth: Path) -> None:
    (depth / "002.exr").write_bytes(b"v/1\x01")


def _cut_short(depth: Path) -> None:
    (depth / "002.npy").unlink()
    (depth / "002.pfm").write_bytes(b"Pf\n48 40\n-1.0\n" + bytes(100))


def _two_of_one(depth: Path) -> None:
    np.savez(depth / "002.npz", np.ones((40, 48)))


def _of_other_photos(depth: Path) -> None:
    for path in sorted(depth.iterdir()):
        path.rename(depth / f"other{chr(97 + int(path.stem))}.npy")


def _no_step(depth: Path) -> None:
    (depth.parent / "depth.json").write_text('{"unit_per_step": 0}')


FAULTS = {
    "of another size": (_of_another_size, r"another size \(.*002.npy\): 48x30 pixels, its photo has 48x40; make"),
    "negative": (_negative, r"negative depth \(.*002.npy\): 1 pixels, -0.5 the least; write 0"),
    "all unknown": (_all_unknown, r"no depth \(.*: every value of every map is 0, NaN or infinite"),
    "another unit": (_metres_not_millimetres, r"does not fit the cameras .*: 100% .* 0.00\d+ times its distance"),
    "eight bits": (_eight_bits, r"unsupported depth map \(.*002.png\): pixels of mode L, expected 16 bits"),
    "without a unit": (_without_a_unit, r"depth without a unit \(.*002.npy\).*depth.json"),
    "pickled": (_pickled, r"refused \(.*002.npy\): pickled data can run code"),
    "three values": (_three_values_a_pixel, r"bad depth map \(.*002.npy\): an array \(40, 48, 3\)"),
    "JPEG": (_jpeg, r"unsupported depth map \(.*002.jpg\): .jpg is not supported; convert it to NPY"),
    "OpenEXR": (_openexr, r"unsupported depth map \(.*002.exr\): .exr is not supported; convert it to NPY"),
    "cut short": (_cut_short, r"bad depth map \(.*002.pfm\): 48x40 numbers of 4 bytes, the file holds 100 bytes"),
    "two of one": (_two_of_one, r"two images of one name"),
    "of other photos": (_of_other_photos, r"depth maps do not pair \(.*depth\): none is named as a photo"),
    "no step": (_no_step, r"bad scale \(.*depth.json: unit_per_step\): 0; write"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_refused_in_one_line(folder, fault):
    damage, text = FAULTS[fault]
    damage(folder / "depth")
    with pytest.raises(BadInput, match=text) as refused:
        read_capture(folder, depth="maps")
    assert "\n" not in str(refused.value)
    assert len(read_capture(folder)) == VIEWS  # who does not ask for depth does not mind


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A capture in COLMAP's format, with points on the larger ball that three photos or more show, and one that two
    do."""
    converted = convert_capture(make_capture(tmp_path / "photos", views=VIEWS), tmp_path / "colmap", to="colmap")
    generator = np.random.default_rng(0)
    outward = generator.normal(size=(900, 3))
    offset, radius = BALLS[1]
    points = ORIGIN + offset + radius * outward / np.linalg.norm(outward, axis=1, keepdims=True)
    lines = []
    for number, point in enumerate(points, start=1):
        normal = point - ORIGIN - offset
        shown = [k for k, view in enumerate(viewpoints(VIEWS), start=1) if normal @ (view.centre - point) > 0]
        x, y, z = point.tolist()
        lines.append(f"{number} {x} {y} {z} 128 128 128 0.5 " + " ".join(f"{k} 0" for k in shown))
    (converted / "sparse" / "0" / "points3D.txt").write_text("# points\n" + "\n".join(lines) + "\n")
    return converted


def test_points_of_structure_from_motion_are_sparse_depth(model):
    """DVR-7: at the pixels that points fall on, in the photos of their tracks, where three show them."""
    layout = find_capture(model, depth="points")
    assert "sparse/0/points3D.txt" in fingerprints(model, layout)
    capture = read_capture(model, layout=layout)
    known = sum(np.count_nonzero(depth) for depth in capture.depths if depth is not None)
    assert 50 < known < 0.1 * sum(mask.sum() for mask in capture.masks) + 200
    offset, radius = BALLS[1]
    apart = np.linalg.norm(known_points(capture) - ORIGIN - offset, axis=1) - radius
    assert np.median(np.abs(apart)) < 1.5  # a pixel is 5 mm wide


def test_points_where_there_are_none_are_missed(model, folder):
    with pytest.raises(InputMissing, match=r"no depth .*: IDR has no points that are read; use a COLMAP model"):
        find_capture(make_capture(folder.parent / "without", views=3), depth="points")
    assert find_capture(folder, depth="points").depths  # maps are better
    (model / "sparse" / "0" / "points3D.txt").unlink()
    with pytest.raises(InputMissing, match=r"no points .*points3D is not there"):
        read_capture(model, depth="points")


@pytest.mark.parametrize("text", ["1 2 3", "1 nan 0 0 1 1 1 0 1 0", "1 0 0 0 1 1 1 0 x 0"])
def test_damaged_points_are_refused(model, text):
    (model / "sparse" / "0" / "points3D.txt").write_text(text + "\n")
    with pytest.raises(TidrError, match=r"damaged COLMAP model|no depth"):
        read_capture(model, depth="points")
