"""Every reader of files from outside: what it is given, what of it is damaged, and how it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from places import ROOT

from taichi_idr.types import CaptureReading

CORPUS = ROOT / "tests" / "corpus"
WHOLE_SHARE = 20
"""Of so many damaged camera files one is read with all photos and silhouettes, which takes a hundred times longer."""


@dataclass(frozen=True)
class Reader:
    """read: of a folder that holds the corpus of that name. damaged: patterns of the files to damage."""

    name: str
    damaged: tuple[str, ...]
    read: Callable[[Path], object]
    rare: Callable[[Path], object] | None = None
    """Called instead for one input of WHOLE_SHARE."""
    kernels: bool = False
    """Whether it needs the backend."""

    @property
    def corpus(self) -> Path:
        return CORPUS / self.name

    def files(self) -> list[Path]:
        """What may be damaged, from the folder, in the same order everywhere."""
        found = {path for pattern in self.damaged for path in self.corpus.glob(pattern)}
        return sorted(path.relative_to(self.corpus) for path in found)


def capture(folder: Path) -> None:
    from taichi_idr.capture.reading import read_capture

    read_capture(folder)


def cameras(folder: Path) -> None:
    """All but the photos' pixels."""
    from taichi_idr.capture.formats.catalogue import find_capture
    from taichi_idr.capture.reading import stored_views, world_cameras_of

    layout = find_capture(folder)
    world_cameras_of(layout, CaptureReading(), 1)
    stored_views(layout, CaptureReading())


def with_depth(folder: Path) -> None:
    from taichi_idr.capture.reading import read_capture

    read_capture(folder, depth="points" if (folder / "sparse").exists() else "maps")


def photos(folder: Path) -> None:
    from taichi_idr.capture.formats.source import list_images, size_of
    from taichi_idr.capture.images import read_photos

    for path in list_images(folder, "image"):
        read_photos([path])
        size_of(path)


def masks(folder: Path) -> None:
    from taichi_idr.capture.formats.source import list_images
    from taichi_idr.capture.masks import MaskReading, check_masks, read_masks

    files = list_images(folder, "mask")
    found, _ = read_masks(files, [(24, 20)] * len(files), MaskReading())
    check_masks([file.stem for file in files], found, inverted=False)


def depth_maps(folder: Path) -> None:
    from taichi_idr.capture.depths import DepthReading, _read
    from taichi_idr.capture.formats.source import list_depths

    for path in list_depths(folder):
        _read(path, (24, 20), DepthReading(1, 10_000, 0.001), None)


def tracks(folder: Path) -> None:
    from taichi_idr.capture.formats.colmap import read_tracks

    read_tracks(folder / "sparse", 2)


def beside(folder: Path) -> None:
    """Small files that lie in a capture."""
    from taichi_idr.capture.cut_masks import read_cut
    from taichi_idr.capture.depths import _step
    from taichi_idr.capture.known_exposures import read_exposures
    from taichi_idr.capture.lights import read_lights
    from taichi_idr.capture.support import read_support

    images = [folder / f"{index:03d}.png" for index in range(3)]
    read_support(folder)
    read_exposures(folder, images)
    read_cut(folder, images)
    _step(folder)
    read_lights(folder, [path.name for path in images])


def meshes(folder: Path) -> None:
    from taichi_idr.meshes.files import find_meshes
    from taichi_idr.meshes.mesh import area, topology_by_position, volume
    from taichi_idr.meshes.reading import read_mesh

    for path in find_meshes(folder):
        mesh = read_mesh(path)
        area(mesh.vertices, mesh.faces)
        volume(mesh.vertices, mesh.faces)
        topology_by_position(mesh.vertices, mesh.faces)


def shown_meshes(folder: Path) -> None:
    from taichi_idr.meshes.files import find_meshes
    from taichi_idr.meshes.reading import read_shown

    for path in find_meshes(folder):
        read_shown(path)


def points(folder: Path) -> None:
    from taichi_idr.meshes.ply import read_extraction
    from taichi_idr.meshes.reading import read_points

    (path,) = folder.iterdir()
    read_extraction(path)
    read_points(path)


def clouds(folder: Path) -> None:
    from taichi_idr.clouds.reading import read_cloud

    (path,) = folder.iterdir()
    read_cloud(path)


def settings(folder: Path) -> None:
    from taichi_idr.runs.folder import RunFolder

    RunFolder(folder).read_config()


def assignments(folder: Path) -> None:
    from taichi_idr.methods.catalogue import make_config

    text = (folder / "assignments.txt").read_text(encoding="latin-1")
    for line in text.splitlines():
        make_config("fast", [line])


def logs(folder: Path) -> None:
    from taichi_idr.poses.history import read_history
    from taichi_idr.report.contents import evaluated_numbers
    from taichi_idr.runs.folder import RunFolder

    run = RunFolder(folder)
    run.read_metrics()
    evaluated_numbers(run)
    read_history(folder / "cameras" / "history.npz")


def run(folder: Path) -> None:
    from taichi_idr.runs.loading import load_run

    load_run(folder)


def shapes(folder: Path) -> None:
    import torch

    from taichi_idr.runs.shapes import load_shapes

    load_shapes(folder).model(torch.device("cpu"))


def painting(folder: Path) -> None:
    from taichi_idr.runs.painted import load_painted

    load_painted(folder)


def dtu(folder: Path) -> None:
    from taichi_idr.measures.dtu import read_scan

    read_scan(folder, 1)


def pth(folder: Path) -> None:
    from taichi_idr.files.pth import read_pth

    read_pth(folder / "latest.pth", "model_state_dict")


def network(folder: Path) -> None:
    import numpy as np

    from taichi_idr.masking.network import MaskNetwork

    MaskNetwork(folder / "network.onnx", threads=1)(np.zeros((20, 24, 3), np.uint8))


def video(folder: Path) -> None:
    from taichi_idr.structure.video import write_frames

    (folder / "frames").mkdir(exist_ok=True)
    write_frames(next(folder.glob("clip.*")), folder / "frames")


def structure(folder: Path) -> None:
    from taichi_idr.structure.model import read_structure

    names = {f"{index}.png": folder / f"{index}.png" for index in range(3)}
    read_structure(folder / "structure.npz", names, dict.fromkeys(names, (24, 20)), 1.0)


CAMERA_FILES = {
    "idr": ("cameras.npz",),
    "transforms": ("transforms.json",),
    "blender": ("transforms_train.json",),
    "colmap_text": ("sparse/cameras.txt", "sparse/images.txt"),
    "colmap_binary": ("sparse/0/*.bin",),
    "openmvg": ("sfm_data.json",),
    "alicevision": ("cameras.sfm",),
    "metashape": ("cameras.xml",),
    "bundler": ("bundle.out", "list.txt"),
    "blendedmvs": ("cams/0*.txt",),
    "middlebury": ("balls_par.txt",),
    "strecha": ("images/*.camera",),
    "llff": ("poses_bounds.npy",),
    "dvr": ("cameras.npz",),
    "krt": ("cameras.npz",),
}
MESHES = ("ply", "ply_text", "obj", "stl", "stl_text", "off", "glb")
CLOUDS = ("ply", "ply_text", "xyz", "csv", "npy", "npz", "las", "laz")
SLOW = ("pth", "video", "network")
"""Readers that start processes, or need a tenth of a second for a whole file."""
READERS = (
    *(Reader(name, files, cameras, capture, kernels=True) for name, files in CAMERA_FILES.items()),
    Reader("capture", ("cameras.npz", "image/*", "mask/*", "ignore/*"), capture, kernels=True),
    Reader("tracks", ("sparse/*.txt",), tracks),
    Reader("photos", ("*",), photos),
    Reader("masks", ("*",), masks),
    Reader("depth_maps", ("*",), depth_maps),
    Reader("beside", ("*.json", "*.txt"), beside),
    *(Reader(f"mesh_{kind}", ("mesh.*",), meshes) for kind in MESHES),
    Reader("shown_obj", ("*",), shown_meshes),
    Reader("shown_glb", ("*",), shown_meshes),
    Reader("points", ("*",), points),
    *(Reader(f"cloud_{kind}", ("*",), clouds) for kind in CLOUDS),
    Reader("settings", ("config.toml",), settings),
    Reader("assignments", ("*",), assignments),
    Reader("logs", ("metrics.jsonl", "report/eval.json", "cameras/history.npz"), logs),
    Reader("run", ("checkpoints/*.tidr", "config.toml"), run, kernels=True),
    Reader("shapes", ("state/*.tidr", "shapes.toml"), shapes, kernels=True),
    Reader("painting", ("state/*.tidr", "mesh.ply"), painting, kernels=True),
    Reader("dtu", ("*/*.mat", "*/stl/*.ply"), dtu),
    Reader("structure", ("*",), structure),
    Reader("network", ("*",), network),
    Reader("video", ("clip.*",), video),
    Reader("pth", ("*",), pth),
)
