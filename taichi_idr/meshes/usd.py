"""Universal Scene Description, packed with its textures (`.usdz`), by usd-core."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Unavailable
from ..files.writing import scratch_folder
from .glb import placement
from .mesh import Mesh, Stance
from .texture import jpeg_bytes, png_bytes


def usdz_bytes(mesh: Mesh, stance: Stance | None = None) -> bytes:
    """A mesh with its texture, or the colours at its vertices, y upward. Raises Unavailable without usd-core."""
    try:
        Usd, UsdUtils = _modules("Usd", "UsdUtils")
    except ImportError as error:
        todo = "pip install 'taichi-idr[usd]'"
        raise Unavailable("usd-core is not installed", where="usdz", todo=todo) from error
    with scratch_folder() as folder:
        stage = Usd.Stage.CreateNew(str(folder / "mesh.usdc"))
        _fill(stage, mesh, stance, folder)
        stage.GetRootLayer().Save()
        packed = folder / "mesh.usdz"
        UsdUtils.CreateNewUsdzPackage(str(folder / "mesh.usdc"), str(packed))
        return packed.read_bytes()


def _modules(*names: str) -> list[Any]:
    """Of usd-core, which has no types."""
    return [import_module(f"pxr.{name}") for name in names]


def _fill(stage: Any, mesh: Mesh, stance: Stance | None, folder: Path) -> None:
    Gf, Sdf, UsdGeom, Vt = _modules("Gf", "Sdf", "UsdGeom", "Vt")

    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, (stance and stance.metres) or 1.0)
    root = UsdGeom.Xform.Define(stage, "/object")
    stage.SetDefaultPrim(root.GetPrim())
    shape = UsdGeom.Mesh.Define(stage, "/object/mesh")
    place, matrix = placement(mesh.vertices), np.eye(4)
    if stance is not None:
        matrix[:3, :3] = stance.turn
    root.AddTransformOp().Set(Gf.Matrix4d((matrix @ place.matrix()).T.tolist()))  # USD multiplies rows
    points = ((mesh.vertices - place.centre) / place.scale).astype(np.float32)
    shape.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    shape.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(mesh.faces), 3, np.int32)))
    shape.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(mesh.faces.ravel().astype(np.int32)))
    shape.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(mesh.normals.astype(np.float32)))
    shape.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    shape.CreateSubdivisionSchemeAttr("none")
    shape.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([points.min(axis=0), points.max(axis=0)])))
    if mesh.texture is not None:
        atlas = mesh.texture.atlas
        kind, interpolation = Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
        st = UsdGeom.PrimvarsAPI(shape).CreatePrimvar("st", kind, interpolation)
        st.Set(Vt.Vec2fArray.FromNumpy((atlas.uv * (1, -1) + (0, 1)).astype(np.float32)))
        st.SetIndices(Vt.IntArray.FromNumpy(atlas.corners.ravel().astype(np.int32)))
        _material(stage, shape, mesh, folder)
    elif mesh.colours is not None:
        linear = (mesh.colours / 255.0) ** 2.2
        shape.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex).Set(Vt.Vec3fArray.FromNumpy(linear.astype(np.float32)))


def _material(stage: Any, shape: Any, mesh: Mesh, folder: Path) -> None:
    """A UsdPreviewSurface that shows the textures."""
    Sdf, UsdShade = _modules("Sdf", "UsdShade")

    types, texture = Sdf.ValueTypeNames, mesh.texture
    assert texture is not None
    material = UsdShade.Material.Define(stage, "/object/material")
    surface = UsdShade.Shader.Define(stage, "/object/material/surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("metallic", types.Float).Set(0.0)
    surface.CreateInput("roughness", types.Float).Set(1.0)
    reader = UsdShade.Shader.Define(stage, "/object/material/st")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", types.String).Set("st")
    place = reader.CreateOutput("result", types.Float2)

    def picture(name: str, data: bytes, space: str) -> Any:
        (folder / name).write_bytes(data)
        shader = UsdShade.Shader.Define(stage, f"/object/material/{name.partition('.')[0]}")
        shader.CreateIdAttr("UsdUVTexture")
        shader.CreateInput("file", types.Asset).Set(f"./{name}")
        shader.CreateInput("sourceColorSpace", types.Token).Set(space)
        shader.CreateInput("st", types.Float2).ConnectToSource(place)
        return shader

    colours = picture("colours.jpg", jpeg_bytes(texture.colours), "sRGB")
    output = colours.CreateOutput("rgb", types.Float3)
    surface.CreateInput("diffuseColor", types.Color3f).ConnectToSource(output)
    if texture.normals is not None:
        normals = picture("normals.png", png_bytes(texture.normals), "raw")
        normals.CreateInput("scale", types.Float4).Set((2.0, 2.0, 2.0, 1.0))
        normals.CreateInput("bias", types.Float4).Set((-1.0, -1.0, -1.0, 0.0))
        surface.CreateInput("normal", types.Normal3f).ConnectToSource(normals.CreateOutput("rgb", types.Float3))
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(shape.GetPrim()).Bind(material)
