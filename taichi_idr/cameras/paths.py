"""Camera paths in the normalised frame, around the origin."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline

from ..types import Cameras
from .rotations import facing, quaternions_from_rotations, rotation_matrices

STEEPEST = np.radians(60)  # elevation of an orbit
UPRIGHT = 0.3  # length of the mean of the cameras' unit up vectors below which they agree on none
LEVEL = 0.15  # root-mean-square slope of pictures' rows up to which they are level
PRIOR = 1e-3  # weight of the mean of the up vectors beside the rows', whose azimuths may differ little


def orbit(cameras: Cameras, *, frames: int, size: tuple[int, int]) -> Cameras:
    """`frames` cameras once around the origin, at the usual distance and elevation of `cameras`.

    size: height, width of the pictures; along the longer side they show the angle that the given cameras
    show. Starts at the first camera's azimuth.
    """
    centres = cameras.centres.double().cpu().numpy()
    up = mean_up(cameras)
    distance = float(np.median(np.linalg.norm(centres, axis=1)))
    height = centres @ up / np.linalg.norm(centres, axis=1)
    elevation = float(np.clip(np.median(np.arcsin(height)), -STEEPEST, STEEPEST))
    east = across(centres[0], up)
    north = np.cross(up, east)
    angles = 2 * np.pi * np.arange(frames) / frames
    level = np.cos(angles)[:, None] * east + np.sin(angles)[:, None] * north
    places = distance * (np.cos(elevation) * level + np.sin(elevation) * up)
    rotations = np.stack([facing(-place, up) for place in places])
    return _assembled(rotations, places, _intrinsics(cameras, size))


def ring(*, frames: int, distance: float, size: int) -> Cameras:
    """`frames` cameras (float64) on a level ring around the origin, y downwards; the unit sphere fills their pictures
    of `size` x `size` pixels, nearly."""
    turns = 2 * np.pi * np.arange(frames) / frames
    centres = distance * np.stack([np.sin(turns), 0 * turns, -np.cos(turns)], axis=1)
    rotations = np.stack([facing(-centre, np.array([0.0, -1.0, 0.0])) for centre in centres])
    middle, focal = (size - 1) / 2, size * distance / 2.4
    return _assembled(rotations, centres, np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]]))


def spline(cameras: Cameras, *, frames: int, size: tuple[int, int]) -> Cameras:
    """`frames` cameras on a smooth path through `cameras` (two at least), in their order.

    Splines on the quaternions and on the origin as the camera sees it: the object keeps its place in the
    picture between two cameras that both look at it.
    """
    rotations = rotation_matrices(cameras.quaternions.double().cpu()).numpy()
    centres = cameras.centres.double().cpu().numpy()
    seen_origin = -np.einsum("vji,vj->vi", rotations, centres)
    knots = np.arange(len(cameras))
    times = np.linspace(0, len(cameras) - 1, frames)
    turned = RotationSpline(knots, Rotation.from_matrix(rotations))(times).as_matrix()
    places = -np.einsum("fij,fj->fi", turned, CubicSpline(knots, seen_origin)(times))
    return _assembled(turned, places, _intrinsics(cameras, size))


def mean_up(cameras: Cameras) -> np.ndarray:
    """Unit vector (3,) that the pictures show as upward, on average.

    Pictures that look down, all from one side, have it lean towards the other side: where there is a direction to which
    the rows of nearly all pictures are level, it is that. Cameras rolled every way agree on none: then the direction in
    which their centres spread least.
    """
    rotations = rotation_matrices(cameras.quaternions.double().cpu()).numpy()
    mean = -rotations[:, :, 1].mean(axis=0)
    if np.linalg.norm(mean) < UPRIGHT:
        centres = cameras.centres.double().cpu().numpy()
        least = np.linalg.svd(centres - centres.mean(axis=0))[2][-1]
        mean = least * (np.sign(least @ mean) or 1.0)
    mean = mean / np.linalg.norm(mean)
    level = _across_all(rotations[:, :, 0], mean)
    slopes = rotations[:, :, 0] @ level
    return level if np.sqrt((slopes**2).mean()) < LEVEL else mean


def _across_all(vectors: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Unit vector (3,) most nearly at right angles to unit vectors (N, 3), and `near` as far as these leave it open."""
    spread = vectors.T @ vectors / len(vectors)
    found = np.linalg.eigh(spread + PRIOR * (np.eye(3) - np.outer(near, near)))[1][:, 0]
    return found * (np.sign(found @ near) or 1.0)


def across(vector: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Unit part of `vector` across the unit `axis`; any unit vector across it where nothing is left."""
    rest = vector - (vector @ axis) * axis
    if np.linalg.norm(rest) < 1e-6 * np.linalg.norm(vector):
        other = np.eye(3)[np.abs(axis).argmin()]
        rest = other - (other @ axis) * axis
    return rest / np.linalg.norm(rest)


def _intrinsics(cameras: Cameras, size: tuple[int, int]) -> np.ndarray:
    """K (3, 3) with square pixels and a centred principal point; photos are taken to be centred on theirs."""
    K = cameras.intrinsics.double().cpu().numpy()
    longer = 2 * np.maximum(K[:, 0, 2], K[:, 1, 2]) + 1
    focal = float(np.median(K[:, 0, 0] / longer)) * max(size)
    height, width = size
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])


def _assembled(rotations: np.ndarray, centres: np.ndarray, K: np.ndarray) -> Cameras:
    """Cameras (float64) that share K."""
    intrinsics = torch.from_numpy(K).expand(len(centres), 3, 3).contiguous()
    return Cameras(quaternions_from_rotations(torch.from_numpy(rotations)), torch.from_numpy(centres), intrinsics)
