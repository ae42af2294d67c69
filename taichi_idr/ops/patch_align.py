"""Bridge to the search for patches (kernels/patch_align.py)."""

from __future__ import annotations

from torch import Tensor

from .. import runtime
from ..kernels import patch_align as kernels


def align_patches(
    photo: Tensor, patches: Tensor, there: Tensor, start: Tensor, *, spread: float, steps: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Shifts (N, 2) in pixels by which a photo (H, W) is like patches (N, P), likeness (N,), contrast (N,) and
    curvature (N, 2, 2), as kernels/patch_align.py has them. Not differentiable.

    there (N, P, 2): pixels u, v where the patches are expected, spread from the middle one of each by `spread`.
    start (N, 2): shift to begin with. All tensors are of the runtime's type and device, photos 2 x 2 pixels at
    least.
    """
    count, size = patches.shape
    if there.shape != (count, size, 2) or start.shape != (count, 2) or photo.ndim != 2 or min(photo.shape) < 2:
        got = f"{tuple(photo.shape)}, {tuple(patches.shape)}, {tuple(there.shape)} and {tuple(start.shape)}"
        raise ValueError(f"align_patches: expected photo (H, W), patches (N, P), (N, P, 2) and (N, 2), got {got}")
    inputs = [tensor.detach().contiguous() for tensor in (photo, patches, there, start)]
    shift, curvature = patches.new_empty(count, 2), patches.new_empty(count, 2, 2)
    likeness, contrast = patches.new_empty(count), patches.new_empty(count)
    if count:
        runtime.launch(kernels.align_patches, *inputs, float(spread), steps, shift, likeness, contrast, curvature)
    return shift, likeness, contrast, curvature
