"""What it costs to call a kernel that does nothing."""

from __future__ import annotations

from .. import runtime
from ..kernels import empty
from .case import Case
from .scene import Scene

CALLS = 100  # per timing: one call is shorter than a look at the clock is exact


def one_argument(scene: Scene, size: int) -> Case:
    """Launch of an empty kernel with one array."""
    return _launch(scene, size, empty.one_argument, 1)


def ten_arguments(scene: Scene, size: int) -> Case:
    """Launch of an empty kernel with ten arrays."""
    return _launch(scene, size, empty.ten_arguments, 10)


def _launch(scene: Scene, size: int, kernel: object, arguments: int) -> Case:
    """Through the checks of `runtime.launch`, beside Taichi's own call; without outputs the gate has nothing to say."""
    arrays = [scene.uniform(size) for _ in range(arguments)]

    def launched() -> tuple[()]:
        runtime.launch(kernel, *arrays)  # pyright: ignore[reportArgumentType]
        return ()

    def called() -> tuple[()]:
        kernel(*arrays)  # pyright: ignore[reportCallIssue]
        return ()

    return Case(launched, called, (), beside="plain call", calls=CALLS)
