"""How well two sets of poses agree, after the similarity that fits best (CAM-9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from ..types import Cameras
from .pinhole import transform_cameras
from .rotations import rotation_matrices

ALIGNMENT_ITERATIONS = 300
TURNS = 20  # rounds of `_turned_alike`
ALIGNMENT_FLOOR = 1e-9
"""Least distance that counts as one in the weights of `align_cameras`, in units of the reference centres' spread."""


@dataclass(frozen=True)
class CameraAccuracy:
    """What is left after `align_cameras`: degrees, and the reference's unit of length. `alignment` (4, 4) is the
    similarity reference <- predicted.

    rotation_apart_deg: the mean less one turn of all cameras in their own axes. A principal point that is off by some
    pixels causes such a turn, and no picture shows it.
    """

    rotation_mean_deg: float
    rotation_median_deg: float
    rotation_apart_deg: float
    centre_mean: float
    centre_median: float
    alignment: np.ndarray


def align_cameras(predicted: Cameras, reference: Cameras) -> np.ndarray:
    """Similarity (4, 4) reference <- predicted frame (CAM-9).

    R is the chordal mean of R_reference R_predicted^T; then s and t minimise the sum of distances between centres.
    """
    if len(predicted) != len(reference) or len(predicted) < 2:
        raise ValueError(f"align_cameras: expected two equal sets, got {len(predicted)} and {len(reference)} cameras")
    R_predicted, R_reference = (rotation_matrices(c.quaternions.double()).numpy() for c in (predicted, reference))
    R = _nearest_rotation((R_reference @ R_predicted.transpose(0, 2, 1)).sum(axis=0))
    source = predicted.centres.double().numpy() @ R.T
    scale, shift = _least_distances(source, reference.centres.double().numpy())
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = scale * R, shift
    return T


def camera_accuracy(predicted: Cameras, reference: Cameras) -> CameraAccuracy:
    """Rotation and centre errors after the best similarity (CAM-9); both sets list the same photos in order."""
    T = align_cameras(predicted, reference)
    aligned = transform_cameras(T, predicted.to(torch.float64))
    R_aligned, R_reference = (rotation_matrices(c.quaternions.double()).numpy() for c in (aligned, reference))
    degrees = _degrees(R_reference @ R_aligned.transpose(0, 2, 1))
    without = _degrees(R_reference @ _turned_alike(R_aligned, R_reference).transpose(0, 2, 1))
    apart = np.linalg.norm(aligned.centres.numpy() - reference.centres.double().numpy(), axis=1)
    rotation, centre = ((float(np.mean(errors)), float(np.median(errors))) for errors in (degrees, apart))
    return CameraAccuracy(*rotation, float(without.mean()), *centre, alignment=T)


@dataclass(frozen=True)
class CameraMovement:
    """How far each of V cameras is from another pose of it after CAM-9: degrees (V,), distance (V,)."""

    degrees: np.ndarray
    distance: np.ndarray


def camera_movement(start: Cameras, now: Cameras, unit: float = 1.0) -> CameraMovement:
    """How far each camera has moved, less what they moved in common: `now` is aligned to `start` first.

    unit: length of the cameras' unit in the one that is wanted.
    """
    aligned = transform_cameras(align_cameras(now, start), now)
    turns = rotation_matrices(start.quaternions).transpose(1, 2) @ rotation_matrices(aligned.quaternions)
    # From the chord: an arc cosine of the trace knows no angle below 1e-6 degrees.
    chord = torch.linalg.matrix_norm(turns - torch.eye(3).to(turns)) / np.sqrt(8)
    degrees = torch.rad2deg(2 * torch.asin(chord.clamp(max=1)))
    return CameraMovement(degrees.numpy(), unit * (aligned.centres - start.centres).norm(dim=1).numpy())


def _turned_alike(rotations: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Rotations (V, 3, 3) turned together, in the world and in their own axes, to be nearest to the reference's."""
    for _ in range(TURNS):
        own = _nearest_rotation((rotations.transpose(0, 2, 1) @ reference).sum(axis=0))
        rotations = rotations @ own
        rotations = _nearest_rotation((reference @ rotations.transpose(0, 2, 1)).sum(axis=0)) @ rotations
    return rotations


def _degrees(turns: np.ndarray) -> np.ndarray:
    """Angles (V,) of rotations (V, 3, 3)."""
    return np.degrees(Rotation.from_matrix(turns).magnitude())


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    U, _, Vt = np.linalg.svd(matrix)
    return U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt


def _least_distances(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """s, t that minimise sum |target - (s source + t)| over points (V, 3), by reweighted least squares."""
    floor = ALIGNMENT_FLOOR * (np.ptp(target, axis=0).max() + np.finfo(float).tiny)
    weights = np.ones(len(source))
    scale, shift = 1.0, np.zeros(3)
    for _ in range(ALIGNMENT_ITERATIONS):
        share = weights / weights.sum()
        source_mean, target_mean = share @ source, share @ target
        spread = share @ ((source - source_mean) ** 2).sum(axis=1)
        along = share @ ((source - source_mean) * (target - target_mean)).sum(axis=1)
        scale = along / spread if spread > 0 else 1.0
        shift = target_mean - scale * source_mean
        weights = 1 / np.maximum(np.linalg.norm(target - (scale * source + shift), axis=1), floor)
    return float(scale), shift
