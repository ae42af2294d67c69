"""Faces taken away by quadric error metrics (Garland and Heckbert, "Surface simplification using quadric error
metrics", 1997), by the library fast-simplification.

The library never gives back the memory that it took, 280 bytes for each face: a large mesh is handed to a process of
its own.
"""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np

from ..errors import OutOfMemory
from ..machine import HOME

ALONE = 500_000  # faces from which on a process of its own, which takes a third of a second, is worth it


def by_quadrics(vertices: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) float64 and about `count` faces (F, 3) int32 of more. Raises OutOfMemory."""
    if len(faces) < ALONE:
        return _simplified(vertices, faces, count)
    command = [sys.executable, "-m", "taichi_idr.meshes.quadrics", str(count)]
    ended = subprocess.run(command, input=_packed(vertices, faces), capture_output=True, cwd=HOME)
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip().splitlines() or [f"it ended with {ended.returncode}"]
        raise OutOfMemory("faces cannot be taken away", why=said[-1], todo="end other programs, or use a smaller --res")
    return _unpacked(ended.stdout)


def main() -> None:
    """The process: a mesh comes in, another goes out."""
    sys.stdout.buffer.write(_packed(*_simplified(*_unpacked(sys.stdin.buffer.read()), int(sys.argv[1]))))


def _simplified(vertices: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    import fast_simplification

    # It only reads them, and takes none that it could not write to.
    vertices, faces = (np.require(array, requirements="W") for array in (vertices, faces))
    found, kept, *_ = fast_simplification.simplify(vertices, faces, target_count=count)
    return found.astype(np.float64), kept.astype(np.int32)


def _packed(vertices: np.ndarray, faces: np.ndarray) -> memoryview:
    file = io.BytesIO()
    np.save(file, vertices, allow_pickle=False)
    np.save(file, faces, allow_pickle=False)
    return file.getbuffer()


def _unpacked(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    file = io.BytesIO(data)
    return np.load(file, allow_pickle=False), np.load(file, allow_pickle=False)


if __name__ == "__main__":
    main()
