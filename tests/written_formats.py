"""One small capture as other programs write it: each writer knows its format from that program's documents alone."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from captures import View, photograph, viewpoints
from PIL import Image
from scipy.spatial.transform import Rotation

from taichi_idr.cameras.pinhole import transform_cameras
from taichi_idr.types import Cameras, Capture

VIEWS, SIZE = 6, (48, 40)
WIDTH, HEIGHT = SIZE
K = np.array([[65.0, 0, 24.7], [0, 63.0, 18.9], [0, 0, 1]])
"""Pixel centres at integers."""
ONE_FOCAL = np.array([[65.0, 0, 24.7], [0, 65.0, 18.9], [0, 0, 1]])
CENTRED = np.array([[60.0, 0, 23.5], [0, 60.0, 19.5], [0, 0, 1]])
SKEWED = np.array([[65.0, 0.4, 24.7], [0, 63.0, 18.9], [0, 0, 1]])
SAME = 1e-9  # of lengths around 500 mm and 60 pixels: double precision through quaternions

Writer = Callable[[Path, list[View]], None]


def shots(intrinsics: np.ndarray = K, size: tuple[int, int] = SIZE) -> list[View]:
    return [replace(view, K=intrinsics) for view in viewpoints(VIEWS, size)]


def write_photos(
    folder: Path,
    views: list[View],
    *,
    alpha: bool = False,
    image: str = "images",
    mask: str = "masks",
    name: str = "r_{}.png",
) -> None:
    (folder / image).mkdir(parents=True, exist_ok=True)
    for index, view in enumerate(views):
        colour, inside = photograph(view, SIZE)
        cover = inside.astype(np.uint8) * 255
        pixels = np.dstack([colour, cover]) if alpha else colour
        Image.fromarray(pixels).save(folder / image / name.format(index))
        if not alpha:
            (folder / mask).mkdir(exist_ok=True)
            Image.fromarray(cover).save(folder / mask / Path(name.format(index)).with_suffix(".png"))


def in_world(capture: Capture) -> Cameras:
    return transform_cameras(capture.T_world_normalised, capture.cameras)


def assert_views(capture: Capture, views: list[View]) -> None:
    cameras = in_world(capture)
    np.testing.assert_allclose(cameras.centres, [view.centre for view in views], rtol=0, atol=500 * SAME)
    np.testing.assert_allclose(cameras.intrinsics, [view.K for view in views], rtol=0, atol=60 * SAME)
    x, y, z, w = Rotation.from_matrix([view.R_world_camera for view in views]).as_quat().T
    dots = (cameras.quaternions.numpy() * np.stack([w, x, y, z], axis=1)).sum(axis=1)
    np.testing.assert_allclose(abs(dots), 1, rtol=0, atol=SAME)


def assert_pixels(capture: Capture, views: list[View]) -> None:
    for index, view in enumerate(views):
        colour, mask = photograph(view, SIZE)
        assert np.array_equal(capture.images[index], colour) and np.array_equal(capture.masks[index], mask)


def shift_of(view: View) -> np.ndarray:
    """t of x_camera = R x_world + t."""
    return -view.R_world_camera.T @ view.centre


def openmvg(folder: Path, views: list[View], kind: str = "pinhole", **lens: Any) -> None:
    """As openMVG_main_ConvertSfM_DataFormat writes it: a type is named once, 1 << 31 marks what is new."""
    new, plain = 1 << 31, 1 << 30
    k = views[0].K
    told = [
        {
            "key": index,
            "value": {
                "polymorphic_id": plain,
                "ptr_wrapper": {
                    "id": new | (index + 1),
                    "data": {
                        "local_path": "", "filename": f"r_{index}.png", "width": WIDTH, "height": HEIGHT,
                        "id_view": index, "id_intrinsic": index % 2, "id_pose": 10 + index,
                    },
                },
            },
        }
        for index in range(len(views))
    ]  # fmt: skip
    camera = {"width": WIDTH, "height": HEIGHT, "focal_length": k[0, 0], "principal_point": [k[0, 2], k[1, 2]], **lens}
    intrinsics = [
        {
            "key": 0,
            "value": {
                "polymorphic_id": new | 1,
                "polymorphic_name": kind,
                "ptr_wrapper": {"id": new | 90, "data": camera},
            },
        },
        {"key": 1, "value": {"polymorphic_id": 1, "ptr_wrapper": {"id": new | 91, "data": camera}}},
    ]
    extrinsics = [
        {"key": 10 + index, "value": {"rotation": view.R_world_camera.T.tolist(), "center": view.centre.tolist()}}
        for index, view in enumerate(views)
    ]
    tree = {
        "sfm_data_version": "0.3", "root_path": "/data/photos", "views": told, "intrinsics": intrinsics,
        "extrinsics": extrinsics, "structure": [], "control_points": [],
    }  # fmt: skip
    (folder / "sfm_data.json").write_text(json.dumps(tree))


def texts(values: Any) -> list[str]:
    """Numbers as boost's property trees write them."""
    return [repr(float(value)) for value in np.asarray(values).ravel()]


def alicevision(folder: Path, views: list[View], version: tuple[int, int, int] = (1, 2, 6), **lens: Any) -> None:
    """As each version of AliceVision's jsonIO writes it: focal lengths, principal point and ratio of pixels changed."""
    fx, fy, cx, cy = (float(views[0].K[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2)))
    millimetres, width = 36.0 / WIDTH, {"sensorWidth": "36", "sensorHeight": "24"}
    if version < (1, 2, 0):
        focal = {"pxFocalLength": repr(fx)}
    elif version < (1, 2, 2):
        focal = {"pxFocalLength": texts([fx, fy])}
    elif version < (1, 2, 5):
        focal = {"focalLength": repr(fx * millimetres), "pixelRatio": repr(fx / fy), **width}
    elif version < (1, 2, 11):
        focal = {"focalLength": repr(fx * millimetres), "pixelRatio": repr(fy / fx), **width}
    else:
        focal = {"focalLength": repr(fy * millimetres), "pixelRatio": repr(fy / fx), **width}
    point = [cx, cy] if version < (1, 2, 1) else [cx - WIDTH / 2, cy - HEIGHT / 2]
    camera = {
        "intrinsicId": "77", "width": str(WIDTH), "height": str(HEIGHT), "serialNumber": "", "type": "pinhole", **focal,
        "principalPoint": texts(point), "distortionParams": "", "locked": "0", **lens,
    }  # fmt: skip
    told = [
        {
            "viewId": str(1000 + index), "poseId": str(2000 + index), "intrinsicId": "77",
            "path": f"C:/shots/r_{index}.png", "width": str(WIDTH), "height": str(HEIGHT), "metadata": "",
        }
        for index in range(len(views))
    ]  # fmt: skip
    poses = [
        {
            "poseId": str(2000 + index),
            "pose": {
                # world -> camera, column after column
                "transform": {"rotation": texts(view.R_world_camera.T.T), "center": texts(view.centre)},
                "locked": "0",
            },
        }
        for index, view in enumerate(views)
    ]
    tree = {"version": [str(part) for part in version], "views": told, "intrinsics": [camera], "poses": poses}
    (folder / "cameras.sfm").write_text(json.dumps(tree))


def metashape(folder: Path, views: list[View], kind: str = "frame", **lens: float) -> None:
    """As Metashape exports it: cameras in the chunk's frame, which is turned, scaled and shifted against the world."""
    (folder / "cameras.xml").write_text(metashape_text(views, kind, **lens))


def metashape_text(views: list[View], kind: str = "frame", **lens: float) -> str:
    k, scale, shift = views[0].K, 2.5, np.array([30.0, -20.0, 55.0])
    turn = Rotation.from_rotvec([0.3, -0.8, 0.4]).as_matrix()
    values = {
        "f": k[1, 1], "cx": k[0, 2] + 0.5 - WIDTH / 2, "cy": k[1, 2] + 0.5 - HEIGHT / 2, "b1": k[0, 0] - k[1, 1],
        "b2": k[0, 1], **lens,
    }  # fmt: skip
    calibration = "".join(f"<{name}>{float(value)!r}</{name}>" for name, value in values.items())
    cameras = ""
    for index, view in enumerate(views):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn.T @ view.R_world_camera, turn.T @ (view.centre - shift) / scale
        cameras += f'<camera id="{index}" sensor_id="3" component_id="0" label="r_{index}">'
        cameras += f"<transform>{' '.join(texts(pose))}</transform></camera>\n"
    size = f'<resolution width="{WIDTH}" height="{HEIGHT}"/>'
    first = '<calibration type="frame" class="initial"><f>1</f></calibration>'
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<document version="1.5.0"><chunk label="Chunk 1" enabled="true">
<sensors next_id="4"><sensor id="3" label="unknown" type="{kind}">{size}{first}
<calibration type="{kind}" class="adjusted">{size}{calibration}</calibration></sensor></sensors>
<components next_id="1" active_id="0"><component id="0" label="Component 1"><transform>
<rotation locked="false">{" ".join(texts(turn))}</rotation>
<translation locked="false">{" ".join(texts(shift))}</translation><scale locked="false">{scale}</scale>
</transform></component></components>
<cameras next_id="9" next_group_id="1"><group id="0" label="all" type="folder">
{cameras}<camera id="20" sensor_id="3" label="lost"/></group></cameras>
<reference>LOCAL_CS["Local Coordinates (m)"]</reference></chunk></document>
"""


def bundler(folder: Path, views: list[View], **lens: float) -> None:
    """Bundler's manual: f k1 k2, R and t of world -> camera, which looks along -z with y up; points follow."""
    flip = np.diag([1.0, -1, -1])
    lines = ["# Bundle file v0.3", f"{len(views) + 1} 1"]
    for view in views:
        lines += [" ".join([repr(float(view.K[0, 0])), *(str(lens.get(name, 0)) for name in ("k1", "k2"))])]
        lines += [" ".join(texts(row)) for row in flip @ view.R_world_camera.T]
        lines += [" ".join(texts(flip @ shift_of(view)))]
    lines += ["0 0 0", "0 0 0", "0 0 0", "0 0 0", "0 0 0", "1.0 2.0 3.0", "255 0 0", "1 0 7 1.5 -2.5"]
    (folder / "bundle.out").write_text("\n".join(lines) + "\n")
    names = [f"images/r_{index}.png" + (" 0 65.5" if index % 2 else "") for index in range(len(views))]
    (folder / "list.txt").write_text("\n".join([*names, "images/lost.png"]) + "\n")


def llff(folder: Path, views: list[View]) -> None:
    """LLFF's save_poses: axes down, right, backwards; centre; height, width, focal length; two depths."""
    rows = []
    for view in views:
        x, y, z = view.R_world_camera.T
        sizes = np.array([HEIGHT, WIDTH, view.K[0, 0]])
        rows.append([*np.column_stack([y, x, -z, view.centre, sizes]).ravel(), 200.0, 400.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def blendedmvs(folder: Path, views: list[View]) -> None:
    (folder / "cams").mkdir()
    (folder / "cams" / "pair.txt").write_text("6\n0\n1 5 0.5\n")
    for index, view in enumerate(views):
        extrinsic = np.eye(4)
        extrinsic[:3, :3], extrinsic[:3, 3] = view.R_world_camera.T, shift_of(view)
        K_corner = view.K + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        parts = [[" ".join(texts(row)) for row in matrix] for matrix in (extrinsic, K_corner)]
        lines = ["extrinsic", *parts[0], "", "intrinsic", *parts[1], "", "200.0 0.8 256 400.0 "]
        (folder / "cams" / f"{index:08d}_cam.txt").write_text("\n".join(lines))


def middlebury(folder: Path, views: list[View]) -> None:
    lines = [str(len(views))]
    for index, view in enumerate(views):
        lines.append(
            f"r_{index}.png {' '.join(texts([*view.K.ravel(), *view.R_world_camera.T.ravel(), *shift_of(view)]))}"
        )
    (folder / "balls_par.txt").write_text("\n".join(lines) + "\n")


def strecha(folder: Path, views: list[View]) -> None:
    for index, view in enumerate(views):
        rows = [*view.K, [0, 0, 0], *view.R_world_camera, view.centre]
        text = "\n".join(" ".join(texts(row)) for row in rows) + f"\n{WIDTH} {HEIGHT}\n"
        (folder / "images" / f"r_{index}.png.camera").write_text(text)


def dvr(folder: Path, views: list[View], signs: tuple[float, float, float] = (1, 1, 1), scale: float = 1.0) -> None:
    """DVR's FAQ: camera_mat world_mat x, from -1 to 1 between the centres of the first and last pixels; axes of the
    camera may point the other way where K does."""
    to_unit = np.array([[2 / (WIDTH - 1), 0, -1], [0, 2 / (HEIGHT - 1), -1], [0, 0, 1]])
    arrays: dict[str, Any] = {}
    for index, view in enumerate(views):
        camera, world = np.eye(4), np.eye(4)
        camera[:3, :3] = to_unit @ view.K * signs
        world[:3] = scale * np.array(signs)[:, None] * np.column_stack([view.R_world_camera.T, shift_of(view)])
        arrays |= {f"camera_mat_{index}": camera, f"world_mat_{index}": world, f"scale_mat_{index}": np.eye(4)}
    np.savez(folder / "cameras.npz", **arrays)


def krt(folder: Path, views: list[View], letter: str = "T", *, one_K: bool = False) -> None:
    arrays: dict[str, Any] = {"K": views[0].K} if one_K else {}
    for index, view in enumerate(views):
        shift = shift_of(view)
        arrays |= {f"R_{index}": view.R_world_camera.T, f"{letter}_{index}": shift[:, None] if index % 2 else shift}
        arrays |= {} if one_K else {f"K_{index}": view.K}
    np.savez(folder / "cameras.npz", **arrays)


def colmap_pose(view: View) -> tuple[list[float], list[float]]:
    """w x y z and shift, world -> camera."""
    x, y, z, w = Rotation.from_matrix(view.R_world_camera.T).as_quat()
    return [w, x, y, z], list(-view.R_world_camera.T @ view.centre)


def colmap_binary(folder: Path, views: list[View]) -> None:
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    k = views[0].K
    numbers = (k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5)
    (model / "cameras.bin").write_bytes(struct.pack("<QiiQQ4d", 1, 7, 1, *SIZE, *numbers))
    data = struct.pack("<Q", len(views))
    for index, view in reversed(list(enumerate(views))):
        turn, shift = colmap_pose(view)
        points = index % 3
        data += struct.pack("<i7di", index + 1, *turn, *shift, 7) + f"r_{index}.png".encode() + b"\0"
        data += struct.pack("<Q", points) + struct.pack("<ddq", 1.0, 2.0, -1) * points
    (model / "images.bin").write_bytes(data)
    (model / "points3D.bin").write_bytes(struct.pack("<Q", 0))


def colmap_text(folder: Path, views: list[View], size: tuple[int, int] = SIZE, lens: tuple[float, ...] = ()) -> None:
    model = folder / "sparse"
    model.mkdir(parents=True)
    k = views[0].K
    numbers = [k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5, *lens]
    kind, width, height = "OPENCV" if lens else "PINHOLE", *size
    words = " ".join(map(repr, map(float, numbers)))
    (model / "cameras.txt").write_text(f"# Camera list\n3 {kind} {width} {height} {words}\n")
    lines = ["# Image list"]
    for index, view in enumerate(views):
        turn, shift = colmap_pose(view)
        numbers = " ".join(repr(float(value)) for value in (*turn, *shift))
        lines += [f"{index + 1} {numbers} 3 r_{index}.png", "10.5 3.5 -1" if index % 2 else ""]
    (model / "images.txt").write_text("\n".join(lines) + "\n")


def frames(views: list[View], names: str = "images/r_{}.png") -> list[dict[str, Any]]:
    found = []
    for index, view in enumerate(views):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = view.R_world_camera * [1, -1, -1], view.centre
        found.append({"file_path": names.format(index), "transform_matrix": pose.tolist()})
    return found


def nerfstudio(folder: Path, views: list[View], size: tuple[int, int] = SIZE, **more: Any) -> None:
    k, (width, height) = views[0].K, size
    shared = {"w": width, "h": height, "fl_x": k[0, 0], "fl_y": k[1, 1], "cx": k[0, 2] + 0.5, "cy": k[1, 2] + 0.5}
    (folder / "transforms.json").write_text(json.dumps({**shared, **more, "frames": frames(views)}))


def instant_ngp(folder: Path, views: list[View]) -> None:
    """Intrinsics in each frame, masks named."""
    k, found = views[0].K, frames(views, "./images/r_{}.png")
    for index, frame in enumerate(found):
        frame |= {"fl_x": k[0, 0], "fl_y": k[1, 1], "cx": k[0, 2] + 0.5, "cy": k[1, 2] + 0.5}
        frame |= {"mask_path": f"masks/r_{index}.png"}
    (folder / "transforms.json").write_text(json.dumps({"frames": found}))


def blender(folder: Path, views: list[View], part: str = "train") -> None:
    angle = 2 * math.atan(SIZE[0] / 2 / views[0].K[0, 0])
    tree = {"camera_angle_x": angle, "frames": frames(views, f"./{part}/r_{{}}")}
    (folder / f"transforms_{part}.json").write_text(json.dumps(tree))
