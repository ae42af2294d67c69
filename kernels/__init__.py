"""Taichi kernels: pure functions over arrays. They import Taichi and their siblings, nothing else."""

if __name__ != "taichi_idr.kernels":
    raise ImportError(
        f"kernels imported as {__name__!r}: expected 'taichi_idr.kernels' (a package called 'kernels' exists on PyPI); "
        "import taichi_idr.kernels"
    )
