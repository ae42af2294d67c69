"""Writes `tests/corpus/`: for each reader the smallest files that are right. `python -m fuzzing.corpus` in `tests/`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import point_clouds
import torch
import trimesh
import written_formats
from captures import View, make_capture, photograph, write_cameras
from networks import write_network
from PIL import Image
from videos import write_clip
from written_formats import CENTRED, shots, write_photos

from taichi_idr import runtime
from taichi_idr.clouds.cloud import Cloud
from taichi_idr.meshes.glb import glb_bytes
from taichi_idr.meshes.mesh import Mesh, make_mesh
from taichi_idr.meshes.obj import mtl_text, obj_bytes
from taichi_idr.meshes.ply import ply_bytes
from taichi_idr.meshes.texture import Atlas, Texture
from taichi_idr.methods.catalogue import make_config, method_of
from taichi_idr.methods.shapes.network import occupancy_model
from taichi_idr.methods.shapes.settings import make_shapes_config
from taichi_idr.painting.model import PaintedMesh
from taichi_idr.painting.networks import colour_network
from taichi_idr.painting.settings import make_paint_config
from taichi_idr.poses.history import PoseHistory, write_history
from taichi_idr.runs.checkpoint import save_checkpoint
from taichi_idr.runs.contents import Course, Frame, Origin, metadata
from taichi_idr.runs.folder import RunFolder
from taichi_idr.runs.painted import save_painted
from taichi_idr.runs.shapes import KnownShapes, save_shapes
from taichi_idr.state import joined
from taichi_idr.tracing.triangles import Surface
from taichi_idr.types import Cameras, CaptureReading

from .readers import CAMERA_FILES, CORPUS, READERS

SMALL = ("geometry.width=8", "geometry.hidden_layers=1", "geometry.skip_layer=0", "geometry.position_frequencies=1")
SMALL += ("geometry.features=4", "radiance.width=8", "radiance.hidden_layers=1", "radiance.view_frequencies=0")
VIEWS = 3


def write_corpus(folder: Path = CORPUS) -> None:
    """Every reader's files, in place of those that are there."""
    shutil.rmtree(folder, ignore_errors=True)
    for reader in READERS:
        place = folder / reader.name
        place.mkdir(parents=True)
        _writer(reader.name)(place)


def _writer(name: str) -> Callable[[Path], object]:
    if name in CAMERA_FILES:
        return lambda folder: _camera_file(folder, name)
    kind, _, form = name.partition("_")
    if kind == "mesh":
        return lambda folder: _mesh_file(folder, form)
    if kind == "cloud":
        return lambda folder: _cloud_file(folder, form)
    return globals()[f"_{name}"]


def _camera_file(folder: Path, name: str) -> None:
    views = shots(CENTRED)[::2]
    if name == "blender":
        write_photos(folder, views, alpha=True, image="train")
        written_formats.blender(folder, views)
        return
    write_photos(folder, views)
    named: dict[str, Callable[..., None]] = {"idr": _idr, "transforms": written_formats.instant_ngp}
    (named.get(name) or getattr(written_formats, name))(folder, views)


def _idr(folder: Path, views: list[View]) -> None:
    write_cameras(folder / "cameras.npz", [view.world_mat for view in views])


def _capture(folder: Path) -> None:
    make_capture(folder, views=VIEWS, size=(24, 20))
    (folder / "ignore").mkdir()
    Image.fromarray(np.eye(20, 24, dtype=np.uint8) * 255).save(folder / "ignore" / "001.png")


def _tracks(folder: Path) -> None:
    written_formats.colmap_text(folder, shots(CENTRED)[::2])
    lines = [f"{n} {n * 7.0} {150 - n} {420.5} 255 0 0 0.5 1 {n} 2 {n} 3 {n}" for n in range(3)]
    (folder / "sparse" / "points3D.txt").write_text("# points\n" + "\n".join(lines) + "\n")


def _photos(folder: Path) -> None:
    colour = Image.fromarray(photograph(shots()[0], (24, 20))[0])
    colour.save(folder / "a.png")
    colour.save(folder / "b.jpg")
    colour.save(folder / "c.webp")
    colour.save(folder / "d.bmp")
    colour.save(folder / "e.ppm")
    colour.save(folder / "f.tif", compression="tiff_lzw")
    colour.convert("P").save(folder / "g.png")
    colour.convert("RGBA").save(folder / "h.png")
    Image.fromarray(np.asarray(colour.convert("L")).astype(np.uint16) * 257).save(folder / "i.png")
    colour.convert("CMYK").save(folder / "j.jpg")
    colour.save(folder / "k.tif", compression="jpeg")


def _masks(folder: Path) -> None:
    inside = Image.fromarray(photograph(shots()[0], (24, 20))[1].astype(np.uint8) * 255)
    inside.save(folder / "a.png")
    inside.convert("1").save(folder / "b.png")
    inside.convert("P").save(folder / "c.png")
    inside.save(folder / "d.jpg")
    inside.save(folder / "e.tif")


def _depth_maps(folder: Path) -> None:
    depth = np.linspace(1, 4, 480, dtype=np.float32).reshape(20, 24)
    np.save(folder / "a.npy", depth)
    np.savez(folder / "b.npz", depth=depth)
    (folder / "c.pfm").write_bytes(b"Pf\n24 20\n-1.0\n" + depth[::-1].tobytes())
    Image.fromarray((depth * 1000).astype(np.uint16)).save(folder / "d.png")
    Image.fromarray(depth).save(folder / "e.tif")


def _beside(folder: Path) -> None:
    names = [f"{index:03d}.png" for index in range(VIEWS)]
    for name in names:
        (folder / name).write_bytes(b"mask")
    trees = {
        "support": {"normal": [0.1, 0.2, 1.0], "offset": -3.5},
        "exposures": {"exposures": {name: [0.1, 0.0, -0.25] for name in names}},
        "masks": {"cut": dict.fromkeys(names, "0123456789abcdef")},
        "depth": {"unit_per_step": 0.001},
        "lights": {"lights": dict.fromkeys(names, "morning")},
    }
    for name, tree in trees.items():
        (folder / f"{name}.json").write_text(json.dumps(tree))


def _ball() -> Mesh:
    """Twelve vertices."""
    ball = trimesh.creation.icosphere(0)
    mesh = make_mesh(np.asarray(ball.vertices), np.asarray(ball.faces, np.int32))
    return Mesh(mesh.vertices, mesh.faces, mesh.normals, np.arange(36, dtype=np.uint8).reshape(12, 3) * 7)


def _textured() -> Mesh:
    ball = _ball()
    corners = np.arange(60, dtype=np.int32).reshape(20, 3)
    places = np.linspace(0.5, 6.5, 120).reshape(60, 2)
    atlas = Atlas(places, corners, ball.faces.ravel().astype(np.int32), 8, 8, 1.0)
    return Mesh(ball.vertices, ball.faces, ball.normals, texture=Texture(atlas, np.full((8, 8, 3), 90, np.uint8)))


def _mesh_file(folder: Path, form: str) -> None:
    ball, plain = _ball(), trimesh.creation.icosphere(0)
    data: dict[str, Callable[[], bytes | str]] = {
        "ply": lambda: ply_bytes(ball),
        "ply_text": lambda: plain.export(file_type="ply", encoding="ascii"),
        "obj": lambda: obj_bytes(ball) + b"g part\nf 1 2 3 4\n",
        "stl": lambda: plain.export(file_type="stl"),
        "stl_text": lambda: plain.export(file_type="stl_ascii"),
        "off": lambda: plain.export(file_type="off"),
        "glb": lambda: glb_bytes(ball),
    }
    written = data[form]()
    file = folder / f"mesh.{form.partition('_')[0]}"
    file.write_bytes(written if isinstance(written, bytes) else written.encode())


def _shown_obj(folder: Path) -> None:
    mesh = _textured()
    (folder / "mesh.obj").write_bytes(obj_bytes(mesh, "mesh.mtl"))
    (folder / "mesh.mtl").write_text(mtl_text(mesh, "mesh.png", None))
    Image.new("RGB", (16, 16), (90, 80, 70)).save(folder / "mesh.png")


def _shown_glb(folder: Path) -> None:
    (folder / "mesh.glb").write_bytes(glb_bytes(_textured()))


def _points(folder: Path) -> None:
    (folder / "points.ply").write_bytes(ply_bytes(_ball()))


def _cloud() -> Cloud:
    ball = point_clouds.sphere(12, np.random.default_rng(0))
    return Cloud(
        ball.points + np.array([5e5, 5.4e6, 300]), ball.normals, np.arange(36, dtype=np.uint8).reshape(12, 3) * 7
    )


def _cloud_file(folder: Path, form: str) -> None:
    cloud = _cloud()
    assert cloud.normals is not None and cloud.colours is not None
    file = folder / f"cloud.{form.partition('_')[0]}"
    table = np.concatenate([cloud.points, cloud.normals, cloud.colours], axis=1)
    match form:
        case "ply" | "ply_text":
            point_clouds.write_ply(file, cloud, "ascii" if form == "ply_text" else "binary_little_endian")
        case "xyz" | "csv":
            separator = " " if form == "xyz" else ", "
            file.write_text("# x y z\n" + "\n".join(separator.join(map(repr, row)) for row in table.tolist()) + "\n")
        case "npy":
            np.save(file, table)
        case "npz":
            np.savez(file, points=cloud.points, normals=cloud.normals, colors=cloud.colours)
        case _:
            point_clouds.write_las(file, cloud)


def _settings(folder: Path) -> None:
    RunFolder(folder).write_config(make_config("fast", []))


def _assignments(folder: Path) -> None:
    lines = ("loss.mask_weight=7", "cameras.train=true", "schedule.steps=300", "stereo.best=2")
    lines += ("cameras.adjustments=0.1,0.2", "until=3.5")
    (folder / "assignments.txt").write_text("\n".join(lines) + "\n")


def _logs(folder: Path) -> None:
    records = [{"step": step, "seconds": 0.5 * step, "loss": 1 / step, "psnr_db": 20.0} for step in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "report").mkdir()
    (folder / "report" / "eval.json").write_text(json.dumps({"psnr_db": 23.4, "chamfer": 0.01, "ssim": None}))
    (folder / "cameras").mkdir()
    turns = torch.zeros(2, 3, 4, dtype=torch.float64)
    turns[..., 0] = 1
    history = PoseHistory(np.array([0, 50]), turns, torch.zeros(2, 3, 3, dtype=torch.float64))
    write_history(folder / "cameras" / "history.npz", history)


def _frame() -> Frame:
    turns = torch.tensor([[1.0, 0, 0, 0]] * VIEWS, dtype=torch.float64)
    centres = torch.tensor([[0.0, 0, -3], [0.5, 0, -3], [0, 0.5, -3]], dtype=torch.float64)
    return Frame(Cameras(turns, centres, torch.eye(3, dtype=torch.float64).repeat(VIEWS, 1, 1)), np.eye(4))


def _run(folder: Path) -> None:
    config = make_config("idr", list(SMALL))
    RunFolder(folder).write_config(config)
    model = method_of(config).model(config, torch.device("cpu"))
    origin = Origin(Path("capture"), CaptureReading(), ("0", "1", "2"), ((20, 24),) * VIEWS, {"cameras.npz": "ab"})
    tensors = {**joined({"model": model.state_dict()}), **_frame().tensors()}
    save_checkpoint(folder / "checkpoints", 20, tensors, metadata(config, origin, Course(3.0)))


def _shapes(folder: Path) -> None:
    config = make_shapes_config(
        "latent", 2, ["network.width=8", "network.code=2", "network.encoder_width=8", "network.blocks=1"]
    )
    known = KnownShapes(
        ["a", "b"], ["0" * 64, "1" * 64], np.stack([np.eye(4)] * 2), torch.zeros(2, 4, 3), torch.zeros(2, 4),
        torch.zeros(2, 4, 3),
    )  # fmt: skip
    model = occupancy_model(config, 2, torch.device("cpu"), torch.Generator())
    save_shapes(folder, config, known, 5, joined({"model": model.state_dict()}))


def _painting(folder: Path) -> None:
    config = make_paint_config("texture", ["table.levels=1", "table.log2_rows=8", "table.finest=16", "texture.width=8"])
    ball = _ball()
    (folder / "mesh.ply").write_bytes(ply_bytes(ball))
    network = colour_network(config, 1, torch.device("cpu"), torch.Generator().manual_seed(0))
    seen = torch.ones(12, dtype=torch.bool), torch.ones(20, dtype=torch.bool)
    painted = PaintedMesh(Surface(ball), network, torch.tensor([[0.0, 0, -3]]), *seen)
    save_painted(folder, painted, config, [""], np.eye(4))


def _dtu(folder: Path) -> None:
    import scipy.io

    for name in ("ObsMask", "Points/stl"):
        (folder / name).mkdir(parents=True)
    box = np.array([[-1.0, -1, -1], [1, 1, 1]])
    mask = {"ObsMask": np.ones((3, 3, 3), np.uint8), "BB": box, "Res": 1.0}
    scipy.io.savemat(folder / "ObsMask" / "ObsMask1_10.mat", mask, do_compression=True)
    scipy.io.savemat(folder / "ObsMask" / "Plane1.mat", {"P": np.array([[0.0], [0], [1], [5]])})
    trimesh.PointCloud(np.arange(12.0).reshape(4, 3)).export(folder / "Points" / "stl" / "stl001_total.ply")


def _structure(folder: Path) -> None:
    arrays = {
        "names": np.array([f"{index}.png" for index in range(VIEWS)]), "rotations": np.stack([np.eye(3)] * VIEWS),
        "shifts": np.zeros((VIEWS, 3)), "cameras": np.array([[30.0, 12, 10, 0]] * VIEWS), "points": np.ones((4, 3)),
        "errors": np.ones(4), "observing": np.array([0, 1, 2]), "observed": np.array([0, 1, 3]),
        "places": np.full((3, 2), 7.0),
    }  # fmt: skip
    np.savez(folder / "structure.npz", **arrays)  # pyright: ignore[reportArgumentType]


def _network(folder: Path) -> None:
    write_network(folder / "network.onnx", (1, 3, 16, 16), sigmoid=True)


def _video(folder: Path) -> None:
    write_clip(folder / "clip.mp4", [photograph(view, (48, 40))[0] for view in shots()])


def _pth(folder: Path) -> None:
    torch.save({"epoch": 3, "model_state_dict": {"weight": torch.ones(2, 2)}}, folder / "latest.pth")


if __name__ == "__main__":
    runtime.init("cpu", "float32")
    write_corpus()
