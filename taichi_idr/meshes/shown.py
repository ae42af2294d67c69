"""Meshes of files with the colours that they show: textures, or colours at vertices."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..files.reading import whole
from .mesh import Mesh, make_mesh, transformed

MOST_TEXELS = 16384  # along a side


@dataclass(frozen=True)
class ShownMesh:
    """mesh: coloured at its vertices, white where nothing is known. pictures: textures, (H, W, 3) uint8 each; picture
    (F,) int32: which one is on each face, -1 where its corners' colours are; places (F, 3, 2): of the corners in it, in
    [0, 1] from its upper left corner."""

    mesh: Mesh
    pictures: list[np.ndarray]
    picture: np.ndarray
    places: np.ndarray


def shown_mesh(path: Path) -> ShownMesh | None:
    """Of a file that a mesh can be read from; None where it has no colours. Raises whatever its parser does.

    Pictures are looked for beside the file, by plain names, and nowhere else.
    """
    import trimesh

    kind = path.suffix.lower().removeprefix(".")
    file = io.BytesIO(whole(path))
    scene = put_in_capture(trimesh.load_scene(file, file_type=kind, process=False, resolver=_beside(path)))
    parts, pictures, known = [], [], False
    for node in scene.graph.nodes_geometry:
        T, name = scene.graph[node]
        geometry = scene.geometry[name]
        picture, colours = _look(geometry.visual)
        known |= picture is not None or colours is not None
        mesh = transformed(make_mesh(*arrays_of(geometry)), T)
        places, number = np.zeros((len(mesh.faces), 3, 2)), -1
        if picture is not None:
            places = (np.asarray(geometry.visual.uv, np.float64) * (1, -1) + (0, 1))[mesh.faces]
            number = len(pictures)
            pictures.append(picture)
        white = np.full((len(mesh.vertices), 3), 255, np.uint8)
        parts.append((mesh, white if colours is None else colours, places, np.full(len(mesh.faces), number, np.int32)))
    return _joined(parts, pictures) if known else None


def _joined(parts: list[tuple[Mesh, np.ndarray, np.ndarray, np.ndarray]], pictures: list[np.ndarray]) -> ShownMesh:
    meshes, colours, places, picture = zip(*parts, strict=True)
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, first, strict=False)]
    vertices, normals = (np.concatenate([getattr(mesh, name) for mesh in meshes]) for name in ("vertices", "normals"))
    mesh = Mesh(vertices, np.concatenate(faces).astype(np.int32), normals, np.concatenate(colours))
    return ShownMesh(mesh, pictures, np.concatenate(picture), np.concatenate(places))


def _look(visual: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Texture (H, W, 3) of a part, or colours (V, 3) at its vertices, uint8; None for what it has not."""
    if visual.kind == "vertex":
        return None, np.asarray(visual.vertex_colors)[:, :3].astype(np.uint8)
    if visual.kind != "texture":
        return None, None
    if visual.uv is None:
        return None, _linear_at_vertices(visual.vertex_attributes.get("color"))
    material = visual.material
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is None:
        return None, None
    if max(image.size) > MOST_TEXELS:
        raise ValueError(f"a texture of {image.size[0]} x {image.size[1]} texels; at most {MOST_TEXELS} along a side")
    return np.asarray(Image.Image.convert(image, "RGB")), None


def _linear_at_vertices(light: np.ndarray | None) -> np.ndarray | None:
    """sRGB (V, 3) of what glTF has beside a material: linear light (IEC 61966-2-1), as a share or a whole number."""
    if light is None:
        return None
    whole = np.iinfo(light.dtype).max if light.dtype.kind == "u" else 1.0
    share = np.clip(light[:, :3] / whole, 0, 1)
    curved = np.where(share <= 0.0031308, 12.92 * share, 1.055 * share ** (1 / 2.4) - 0.055)
    return np.round(255 * curved).astype(np.uint8)


def arrays_of(geometry: Any) -> tuple[np.ndarray, np.ndarray]:
    """Positions (V, 3) float64 and faces (F, 3) int32 of a mesh of trimesh, which takes lines of any length for
    positions. Raises ValueError."""
    vertices = np.asarray(geometry.vertices, np.float64)
    if vertices.shape[1:] != (3,):
        raise ValueError(f"positions of {vertices.shape[-1]} numbers")
    return vertices, np.asarray(geometry.faces, np.int32).reshape(-1, 3)


def put_in_capture(scene: Any) -> Any:
    """A scene of trimesh, its nodes where their vertices are in the capture, where the file says so: `light.glb` stands
    upright on the origin. Returns it."""
    edges = scene.graph.transforms.edge_data
    for (_, node), data in list(edges.items()):
        extras = data.get("metadata") or {}
        if "T_capture_vertices" in extras:
            T = np.array(extras["T_capture_vertices"], np.float64).reshape(4, 4)
            scene.graph.update(frame_to=node, matrix=T)
    return scene


def _beside(path: Path) -> Any:
    """Finds files of plain names in the folder of `path`."""
    from trimesh.resolvers import Resolver

    class Beside(Resolver):
        def __init__(self) -> None:
            """Knows its folder already."""

        def get(self, name: str) -> bytes:
            file = path.parent / name.strip()
            if file.name != name.strip() or file.is_symlink() or not file.is_file():
                raise FileNotFoundError(f"{name}: not a file beside the mesh")
            return whole(file)

        def keys(self) -> list[str]:
            return [file.name for file in path.parent.iterdir()]

        def namespaced(self, namespace: str) -> Resolver:
            raise FileNotFoundError(f"{namespace}: not beside the mesh")

        def write(self, name: str, data: object) -> None:
            raise PermissionError("read only")

    return Beside()
