"""Make a capture with known shape and cameras: photos, silhouettes, cameras.npz and the exact mesh.

python examples/own_capture.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from taichi_idr import make_capture


def main(folder: Path) -> None:
    make_capture(folder, views=8, heldout=2, size=(96, 96), samples=6, mesh_resolution=96)
    print(f"8 photos and 2 held out in {folder}; fit them with: tidr fit {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "ewer"))
