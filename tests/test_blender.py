"""What Blender makes of the meshes: upright, in the right size, with their texture.

Needs the module `bpy`, which is for one version of Python, and an older numpy than OpenCV: an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import trimesh

from taichi_idr.meshes.charts import unwrapped
from taichi_idr.meshes.mesh import Stance, make_mesh
from taichi_idr.meshes.texture import Texture
from taichi_idr.meshes.writing import write_mesh

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("bpy") is None, reason="needs Blender's module: pip install bpy"),
]

SIDES = (1.0, 2.0, 4.0)  # of a box, z upward, in centimetres
IMPORTS = {
    "glb": "bpy.ops.import_scene.gltf",
    "usdz": "bpy.ops.wm.usd_import",
    "obj": "bpy.ops.wm.obj_import",
    "ply": "bpy.ops.wm.ply_import",
    "stl": "bpy.ops.wm.stl_import",
}
SCRIPT = """
import bpy, json, sys
bpy.ops.wm.read_factory_settings(use_empty=True)
{operator}(filepath=sys.argv[1])
bpy.context.view_layer.update()
shape = [o for o in bpy.data.objects if o.type == "MESH"][0]
points = [list(shape.matrix_world @ v.co) for v in shape.data.vertices]
pictures = [list(image.size) for image in bpy.data.images]
found = dict(points=points, faces=len(shape.data.polygons), layers=len(shape.data.uv_layers), pictures=pictures)
print("FOUND" + json.dumps(found))
"""


@pytest.mark.parametrize("kind", IMPORTS)
def test_blender_reads_it(kind: str, tmp_path: Path, runtime) -> None:
    box = trimesh.creation.box(SIDES).subdivide().subdivide().apply_translation((30, 40, 50))
    mesh = make_mesh(np.asarray(box.vertices), np.asarray(box.faces, np.int32))
    texture = Texture(unwrapped(mesh, 64), np.full((64, 64, 3), 128, np.uint8))
    turn = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # z upward to y upward
    file = tmp_path / f"a.{kind}"
    textured = kind in ("glb", "obj", "usdz")
    shown = make_mesh(mesh.vertices, mesh.faces) if not textured else type(mesh)(**{**vars(mesh), "texture": texture})
    write_mesh(file, shown, Stance(turn, 0.01, np.eye(4)))
    script = SCRIPT.format(operator=IMPORTS[kind])
    ran = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout.partition("FOUND")[2].splitlines()[0])
    extent = np.ptp(np.array(found["points"]), axis=0)
    metres = 0.01 if kind in ("glb", "usdz") else 1.0
    expected = SIDES if kind != "obj" else (SIDES[0], SIDES[2], SIDES[1])  # Blender takes y in an OBJ for upward
    np.testing.assert_allclose(extent, np.array(expected) * metres, rtol=1e-4)
    assert found["faces"] == len(mesh.faces)
    assert (found["layers"], found["pictures"]) == ((1, [[64, 64]]) if textured else (0, []))
    if kind == "glb":
        assert abs(min(point[2] for point in found["points"])) < 1e-6  # on the ground
