"""A training step of preset `idr` beside the plain torch step of `taichi_idr/reference/idr_step.py`.

    .venv/bin/python benchmarks/idr_step.py [--steps 5] [--width 512] [--rays 2048] [--threads 2] [--json FILE]

Both take the same weights and pixels, in turn; a step is rays, tracing, losses, their gradients and Adam. The plain
step asks the networks as often as the released algorithm does (a lower bound of its cost), in float32 and in the same
chunks and threads. The field is the ball that training starts from; the object covers a third of the pixels.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from taichi_idr import runtime  # before torch: the package sets how OpenMP threads wait

import numpy as np  # isort: skip
import torch  # isort: skip
from torch import Tensor  # isort: skip

from taichi_idr.cameras.rotations import facing, quaternions_from_rotations  # isort: skip
from taichi_idr.methods.catalogue import make_config  # isort: skip
from taichi_idr.methods.idr.released import to_official  # isort: skip
from taichi_idr.methods.idr.settings import IdrConfig  # isort: skip
from taichi_idr.methods.idr.trainer import IdrTrainer  # isort: skip
from taichi_idr.reference.idr_networks import RendererShape, SdfShape, Shapes, State  # isort: skip
from taichi_idr.reference.idr_step import Batch, Numbers, Step, idr_step  # isort: skip
from taichi_idr.types import Cameras, Capture  # isort: skip

VIEWS, HEIGHT, WIDTH, FOCAL, DISTANCE, BALL = 3, 120, 160, 199.0, 2.5, 0.55
GATE = 1e-3  # relative difference of the losses: single precision, and a few hits that flip


@dataclass(frozen=True)
class Row:
    """Median milliseconds of a step, spread (slowest over fastest), and questions to f while tracing, per step."""

    name: str
    milliseconds: float
    spread: float
    sdf_queries: float


def main() -> None:
    options = parsed_options()
    settings = runtime.init("cpu", threads=options.threads)
    trainer = IdrTrainer(narrowed(options.width, options.rays), ball_capture(), settings.device)
    plain = PlainStep(trainer)
    with trainer.threads():
        check(trainer, plain)
        rows = race(trainer, plain, options.steps)
        threads = torch.get_num_threads()
    print(f"{'step':12}{'ms':>10}{'spread':>8}{'queries':>10}")
    for row in rows:
        times = f"{row.milliseconds:10.1f}{row.spread:8.2f}"
        print(f"{row.name:12}{times}{row.sdf_queries:10.0f}")
    ours, twin = rows
    speed, share = twin.milliseconds / ours.milliseconds, ours.sdf_queries / twin.sdf_queries
    print(f"{speed:.2f} times as fast, {share:.2f} of the questions")
    print(f"width {options.width}, {options.rays} rays, chunks of {trainer.model.chunk}, {threads} threads of torch")
    if options.json:
        machine = {"machine": platform.machine(), "python": platform.python_version(), "torch": torch.__version__}
        run = {**machine, "width": options.width, "rays": options.rays, "threads": threads, "steps": options.steps}
        options.json.write_text(json.dumps({**run, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def parsed_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rays", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


def narrowed(width: int, rays: int) -> IdrConfig:
    """The published settings at another width of both networks."""
    widths = [f"geometry.width={width}", f"radiance.width={width}", f"schedule.rays={rays}"]
    config = make_config("idr", widths)
    assert isinstance(config, IdrConfig)
    return config


def ball_capture() -> Capture:
    """A ball of radius BALL around the origin, coloured by its normals."""
    turns = 2 * np.pi * np.arange(VIEWS) / VIEWS
    centres = DISTANCE * np.stack([np.cos(turns), np.sin(turns), np.zeros(VIEWS)], axis=1)
    rotations = np.stack([facing(-centre, np.array([0.0, 0, 1])) for centre in centres])
    K = np.array([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])
    photos = [photograph(K, *pose) for pose in zip(rotations, centres, strict=True)]
    quaternions = quaternions_from_rotations(torch.from_numpy(rotations))
    cameras = Cameras(quaternions, torch.from_numpy(centres), torch.from_numpy(K).repeat(VIEWS, 1, 1))
    names = [f"{view:03d}" for view in range(VIEWS)]
    images, masks = [photo for photo, _ in photos], [mask for _, mask in photos]
    return Capture(Path("ball"), names, images, masks, cameras, np.eye(4))


def photograph(K: np.ndarray, rotation: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours (H, W, 3) uint8 and mask (H, W)."""
    column, row = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    directions = np.stack([column, row, np.ones_like(row)], axis=-1) @ (rotation @ np.linalg.inv(K)).T
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    along = directions @ centre
    radicand = along**2 - (centre @ centre - BALL**2)
    depth = -along - np.sqrt(np.maximum(radicand, 0))
    normals = (centre + depth[..., None] * directions) / BALL
    return (127.5 + 100 * np.clip(normals, -1, 1)).astype(np.uint8), radicand > 0


class PlainStep:
    """The reference with weights of its own, which are set to the trainer's before each step."""

    def __init__(self, trainer: IdrTrainer) -> None:
        geometry, radiance = trainer.config.geometry, trainer.config.radiance
        shapes = Shapes(SdfShape(width=geometry.width), RendererShape(width=radiance.width))
        self.trainer = trainer
        self.numbers = Numbers(shapes, chunk=trainer.model.chunk)
        poses = trainer.poses.cameras().to(torch.float32)
        self.cameras = (poses.quaternions, poses.centres, torch.linalg.inv(poses.intrinsics))
        self.state: State = {name: p.detach().clone().requires_grad_() for name, p in self._weights().items()}
        self.adam = torch.optim.Adam(self.state.values(), lr=trainer.rate, fused=True)
        self.batch = self.next_batch(trainer.draw_box(), trainer.generator)
        self.queries = 0

    def follow(self) -> None:
        """Take the trainer's weights, and the pixels of its next step."""
        with torch.no_grad():
            for name, weight in self._weights().items():
                self.state[name].copy_(weight)
        self.batch = self.next_batch(self.trainer.draw_box(), self.trainer.generator)

    def next_batch(self, box: Tensor, generator: torch.Generator) -> Batch:
        """`generator` draws the random depths of TRACE-14."""
        pixels = self.trainer.pixels.at_step(self.trainer.steps_done)
        fractions = torch.rand(self.numbers.tracer.n_steps, generator=generator)
        return Batch(int(pixels.view[0]), pixels.position.float(), pixels.colour, pixels.is_object, box, fractions)

    def losses(self, batch: Batch) -> Step:
        return idr_step(self.state, *self.cameras, batch, self.trainer.alpha, self.numbers)

    def step(self) -> None:
        self.adam.zero_grad()
        found = self.losses(self.batch)
        found.total.backward()
        self.adam.step()
        self.queries = found.traced.queries

    def _weights(self) -> State:
        return to_official(self.trainer.model.state_dict())


def check(trainer: IdrTrainer, plain: PlainStep) -> None:
    """Stop where the two losses differ: fast and wrong is no result."""
    box, draws = trainer.draw_box(), [torch.Generator().manual_seed(0) for _ in range(2)]
    ours = trainer.losses_with(trainer.pixels.at_step(0), box, draws[0]).report.loss.detach()
    twin = plain.losses(plain.next_batch(box, draws[1])).total.detach()
    if not (ours - twin).abs() <= GATE * twin.abs():
        raise SystemExit(f"production and reference disagree: loss {ours:.6f} against {twin:.6f}")


def race(trainer: IdrTrainer, plain: PlainStep, steps: int) -> list[Row]:
    """Both in turn, `steps` times, after one turn that does not count."""
    ours, twin = [], []
    for _ in range(steps + 1):
        plain.follow()
        seconds, scheduled = timed(trainer.step), trainer.scheduled()
        ours.append((seconds, scheduled["sdf_queries"]))
        twin.append((timed(plain.step), plain.queries))
    return [summary("production", ours[1:]), summary("reference", twin[1:])]


def summary(name: str, turns: list[tuple[float, float]]) -> Row:
    seconds, *queries = zip(*turns, strict=True)
    return Row(name, statistics.median(seconds) * 1e3, max(seconds) / min(seconds), *map(statistics.mean, queries))


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
