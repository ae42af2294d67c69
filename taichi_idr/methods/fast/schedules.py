"""What the schedules of preset `fast` say at a moment of the fit."""

from __future__ import annotations

import math

from ...config import FastCamerasConfig, LossConfig
from ...poses.gauss_newton import step_size
from .settings import FastConfig


def known_poses(cameras: FastCamerasConfig, progress: float) -> tuple[float, float]:
    """How well poses are known by now: degrees, normalised units."""
    share = min(progress / cameras.decay_start, 1.0) if cameras.decay_start else 1.0
    factor = (cameras.known_end / cameras.known_start) ** share
    turn = cameras.known_start * factor
    return turn, cameras.known_shift * math.radians(turn)


def pose_rates(cameras: FastCamerasConfig, progress: float) -> dict[str, float]:
    """Adam's rates of the pose parameters, which fall as the steps of Gauss-Newton do."""
    share = step_size(cameras, progress) / cameras.step_size
    return {"quaternions": cameras.quaternion_rate * share, "places": cameras.place_rate * share}


def doublings_at(loss: LossConfig, progress: float) -> int:
    """LOSS-5 in steps: alpha doubles at equal shares of the run."""
    return min(int(progress * (loss.alpha_doublings + 1)), loss.alpha_doublings)


def levels_at(config: FastConfig, progress: float) -> int:
    """Levels of the encoding that are active, coarse to fine."""
    schedule, total = config.schedule, config.geometry.levels
    first = min(schedule.first_levels, total)
    share = progress / schedule.levels_unlocked if schedule.levels_unlocked > 0 else 1.0
    return min(total, first + int(share * (total - first)))
