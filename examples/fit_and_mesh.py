"""The whole way in Python: a capture, a fit, a mesh, its numbers. A quick one; `tidr demo` does it properly.

python examples/fit_and_mesh.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from taichi_idr import evaluate_run, fit_capture, make_capture, mesh_run


def main(folder: Path, steps: int = 400) -> None:
    capture = make_capture(folder / "ewer", views=12, heldout=2, size=(128, 128), samples=6, mesh_resolution=128)
    run = fit_capture(capture, out=folder / "run", steps=steps, rays=1024).run
    mesh_run(run, resolution=128)
    evaluate_run(run, gt_mesh=capture / "gt_mesh.ply")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "quick"))
