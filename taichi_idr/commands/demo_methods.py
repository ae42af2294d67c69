"""What `tidr demo --method` does of the other methods, on the ewer of the demo or on shapes of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..files.writing import create_folder, write_filled

if TYPE_CHECKING:
    from ..meshes.mesh import Mesh
    from ..runtime import Arch

CLOUD_POINTS, CLOUD_NOISE, CLOUD_STRAY = 30_000, 0.005, 0.02
"""Points of the demo's cloud, their deviation in radii of the object, and share of points that are anywhere."""
FLOW_FRAMES, FLOW_STEPS = 9, 400


@dataclass(frozen=True)
class MethodDemo:
    """A method in small: what it does, in about two minutes, not how good it can be. assignments: its settings."""

    steps: int
    rays: int
    assignments: tuple[str, ...]


_MLP = ("geometry.width=64", "geometry.hidden_layers=4", "geometry.skip_layer=2", "geometry.features=32")
_MLP += ("radiance.width=64", "radiance.hidden_layers=2", "schedule.rate=1e-3")
METHODS = {
    "idr": MethodDemo(600, 512, (*_MLP, "tracer.samples=50", "loss.eikonal_points=512")),
    "dvr": MethodDemo(
        600,
        1024,
        ("network.width=64", "network.blocks=3", "march.samples=16,32", "march.finer=0.4", "schedule.rate=2e-3"),
    ),
    "unisurf": MethodDemo(
        400, 192, (*_MLP, "surface.samples=64", "interval.samples=24", "interval.before=8", "volume.background=white")
    ),
    "nerf": MethodDemo(
        600,
        256,
        (
            "network.width=64",
            "network.layers=4",
            "network.skip=1",
            "volume.coarse=32",
            "volume.fine=32",
            "schedule.rate=2e-3",
            "volume.level=1",
        ),
    ),
}


def paint_ewer(capture: Path, out: Path, *, quick: bool, arch: Arch) -> Path:
    """The ewer's shape in the colours of its photos."""
    from .paint import paint_mesh

    folder = out / "painted"
    paint_mesh(capture / "gt_mesh.ply", capture, out=folder, steps=100 if quick else None, renders=3, arch=arch)
    return folder / "mesh.ply"


def mesh_cloud(capture: Path, out: Path, *, quick: bool, arch: Arch) -> Path:
    """A mesh of points on the ewer, of noise and of strays, and how far it is from the ewer."""
    import numpy as np

    from ..measures.surfaces import mesh_distance, sample_surface
    from ..meshes.reading import read_mesh
    from .points import mesh_points

    shape, generator = read_mesh(capture / "gt_mesh.ply"), np.random.default_rng(0)
    points = sample_surface(shape, CLOUD_POINTS // (10 if quick else 1), generator)[0]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    radius = np.linalg.norm(points - middle, axis=1).max()
    points += CLOUD_NOISE * radius * generator.standard_normal(points.shape)
    stray = middle + radius * generator.uniform(-1, 1, (round(CLOUD_STRAY * len(points)), 3))
    write_filled(out / "cloud.npy", lambda data: np.save(data, np.concatenate([points, stray])))
    mesh_points(out / "cloud.npy", out=out / "meshed", steps=100 if quick else None, arch=arch)
    mesh = out / "meshed" / "mesh.ply"
    found = mesh_distance(read_mesh(mesh), shape)
    print(f"Chamfer   {found.chamfer:.3g} world units, {100 * found.chamfer / radius:.2f} % of the radius")
    return mesh


def follow_motion(out: Path, *, quick: bool, arch: Arch) -> Path:
    """A body that bends, followed without being told which of its places correspond."""
    from ..meshes.motions import moving_shape
    from ..meshes.writing import write_mesh
    from .flow import flow_sequence

    folder = create_folder(out / "bending")
    for number, mesh in enumerate(moving_shape("bending", FLOW_FRAMES)):
        write_mesh(folder / f"{number}.ply", mesh)
    steps, resolution, film = (60, 32, 0) if quick else (FLOW_STEPS, 64, 24)
    found = flow_sequence(folder, out=out / "followed", steps=steps, resolution=resolution, film_frames=film, arch=arch)
    return found.files[-1]


ON_SHAPES = {"paint": paint_ewer, "points": mesh_cloud}
"""Commands that begin with a shape: that of the ewer."""

BOTTLES = {  # height, radius of the belly and of the neck, height of the belly's widest part as a share
    "flask": (1.0, 0.42, 0.09, 0.3),
    "vase": (1.0, 0.3, 0.2, 0.55),
    "bottle": (1.0, 0.19, 0.07, 0.4),
    "jar": (0.7, 0.36, 0.28, 0.45),
}
BETWEEN, DRAWN = 5, 2
"""Meshes from the first bottle to the last, and of codes that are drawn."""


def learn_shapes(out: Path, *, quick: bool, arch: Arch) -> Path:
    """A space of bottles, what lies between two of them, and some that were not there."""
    from ..meshes.writing import write_mesh
    from .shapes import Wanted, shape_meshes

    folder = create_folder(out / "bottles")
    for name, measures in BOTTLES.items():
        write_mesh(folder / f"{name}.ply", _bottle(*measures))
    names = tuple(BOTTLES)
    wanted = Wanted((names[0], names[-1]), BETWEEN, DRAWN)
    steps, resolution = (250, 48) if quick else (800, 128)
    assignments = ["network.width=48", "network.blocks=3", "network.code=8", "schedule.points=1024"]
    how = {"assignments": assignments, "wanted": wanted}
    shape_meshes([folder], out=out / "learned", steps=steps, resolution=resolution, **how, arch=arch)
    return out / "learned" / "interpolated" / f"{names[0]}-{names[-1]}" / f"{BETWEEN // 2:03d}.ply"


def _bottle(height: float, belly: float, neck: float, widest: float) -> Mesh:
    """A closed body of revolution around z."""
    import numpy as np
    import trimesh

    from ..meshes.mesh import make_mesh

    along = np.linspace(0, 1, 48)
    radius = np.interp(along, [0, widest, widest + 0.3, 1], [0.8 * belly, belly, neck, 1.15 * neck])
    side = np.stack([np.convolve(np.pad(radius, 3, mode="edge"), np.full(7, 1 / 7), "valid"), height * along], axis=1)
    body = trimesh.creation.revolve(np.concatenate([[[0, 0]], side, [[0, height]]]), sections=64)
    return make_mesh(np.asarray(body.vertices, float), np.asarray(body.faces, np.int32))


OF_ITS_OWN = {"shapes": learn_shapes, "flow": follow_motion}
"""Commands that begin with closed meshes, or with some over time."""
