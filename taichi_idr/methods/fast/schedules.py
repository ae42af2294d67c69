"""What the schedules of preset `fast` say at a moment of the fit."""

from __future__ import annotations

import math

from ...config import FastCamerasConfig, LossConfig
from ...poses.gauss_newton import step_size
from .settings import FastConfig, ScheduleConfig


def rate_factor(schedule: ScheduleConfig, progress: float) -> float:
    """Rise from zero over the warm-up, then 1, then a cosine down to `decay_floor`."""
    if progress < schedule.warmup:
        return progress / schedule.warmup
    if progress <= schedule.decay_start:
        return 1.0
    fall = (progress - schedule.decay_start) / (1 - schedule.decay_start)
    return schedule.decay_floor + (1 - schedule.decay_floor) * 0.5 * (1 + math.cos(math.pi * min(fall, 1.0)))


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
