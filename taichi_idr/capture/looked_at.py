"""The frame of a capture without silhouettes: what its cameras look at.

The centre is the point nearest to all optical axes, by reweighted least squares. Of the spheres around it the usual
photo shows one whole whose radius is its distance times the sine of the narrowest half field of view: that one becomes
the unit sphere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cameras.focus import nearest_point
from ..cameras.rotations import rotation_matrices
from ..errors import BadInput
from ..types import Cameras
from .frame import refuse_one_place

_TODO = "add masks (tidr mask cuts them), or scale_mat_i to a camera file of the IDR format"


def frame_looked_at(cameras: Cameras, shapes: Sequence[tuple[int, ...]]) -> np.ndarray:
    """T_world_normalised (4, 4): a similarity without rotation.

    cameras: V, world frame; shapes: height and width of their photos. Raises BadInput where most cameras look away
    from the point that is nearest to what they look at, or all are in one place.
    """
    axes = rotation_matrices(cameras.quaternions)[:, :, 2].numpy()
    origins = cameras.centres.numpy()
    refuse_one_place(cameras, None)
    centre = nearest_point(origins, axes)
    ahead = ((centre - origins) * axes).sum(axis=1)
    if np.median(ahead) <= 0:
        why = (
            "without masks the object is where the cameras look, and most look away from what is nearest to their axes"
        )
        raise BadInput("no frame", where=f"{len(cameras)} views", why=why, todo=_TODO)
    refuse_one_place(cameras, centre)
    sines = [_narrowest_sine(K, shape) for K, shape in zip(cameras.intrinsics.numpy(), shapes, strict=True)]
    T = np.diag([float(np.median(np.linalg.norm(centre - origins, axis=1) * sines))] * 3 + [1.0])
    T[:3, 3] = centre
    return T


def in_words(T_world_normalised: np.ndarray) -> str:
    """What is taken for the object."""
    centre = ", ".join(f"{x:.4g}" for x in T_world_normalised[:3, 3])
    radius = f"{T_world_normalised[0, 0]:.4g} world units"
    return f"no masks: the object is what lies within {radius} of ({centre}), where the cameras look"


def _narrowest_sine(K: np.ndarray, shape: tuple[int, ...]) -> float:
    """Of the angle between the optical axis and the photo's nearest side; skew is nothing beside it."""
    height, width = shape
    sides = (
        (K[0, 2] + 0.5) / K[0, 0],
        (width - 0.5 - K[0, 2]) / K[0, 0],
        (K[1, 2] + 0.5) / K[1, 1],
        (height - 0.5 - K[1, 2]) / K[1, 1],
    )
    return float(np.sin(np.arctan(max(min(sides), 1e-3))))
