"""What a fit sees of a sequence: labelled points in the normalised frame, and the ways of vertices where known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...measures.surfaces import sample_surface
from ...meshes.mesh import Mesh
from ...meshes.sequences import MeshSequence
from ...meshes.solid import inside_mesh
from .settings import FlowSamplesConfig


@dataclass(frozen=True)
class LabelledSequence:
    """K frames. T_world_normalised (4, 4): of the cube's middle, the longest edge of the sequence's box being 1.

    times (K,) float32 in [0, 1]; points (K, P, 3) float32, normalised; inside (K, P) bool; half: of the cube's edge;
    ways (K, V, 3) float32 of the vertices, None where frames do not correspond.
    """

    T_world_normalised: np.ndarray
    times: np.ndarray
    points: np.ndarray
    inside: np.ndarray
    half: float
    ways: np.ndarray | None


def labelled(sequence: MeshSequence, config: FlowSamplesConfig, seed: int) -> LabelledSequence:
    """Points of all frames, uniform in the cube and around the surface, with labels (FLOW-2)."""
    generator, T = np.random.default_rng(seed), normalising(sequence)
    half = (1 + config.padding) / 2
    drawn = [_frame(mesh, T, config, half, generator) for mesh in sequence.meshes]
    points, inside = (np.stack(parts) for parts in zip(*drawn, strict=True))
    ways = None
    if sequence.unlike_first() is None:
        ways = np.stack([to_normalised(mesh.vertices, T) for mesh in sequence.meshes]).astype(np.float32)
    return LabelledSequence(T, sequence.times.astype(np.float32), points, inside, half, ways)


def normalising(sequence: MeshSequence) -> np.ndarray:
    """T_world_normalised (4, 4) by which the box of all meshes is in [-0.5, 0.5]^3."""
    low, high = sequence.box()
    T = np.eye(4)
    T[:3, :3] *= (high - low).max()
    T[:3, 3] = (low + high) / 2
    return T


def to_normalised(points: np.ndarray, T_world_normalised: np.ndarray) -> np.ndarray:
    """Points (N, 3) float64 of the world."""
    return (points - T_world_normalised[:3, 3]) / T_world_normalised[0, 0]


def _frame(
    mesh: Mesh, T: np.ndarray, config: FlowSamplesConfig, half: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    near = round(config.near_share * config.per_frame)
    even = generator.uniform(-half, half, (config.per_frame - near, 3))
    surface = to_normalised(sample_surface(mesh, near, generator)[0], T)
    points = np.concatenate([even, surface + config.near * generator.standard_normal((near, 3))])
    points = points.clip(-half, half).astype(np.float32)
    return points, inside_mesh(mesh, points.astype(np.float64) * T[0, 0] + T[:3, 3])
