"""From a cloud in memory to a mesh."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch

from ... import runtime
from ...clouds.colours import colours_at
from ...errors import Diverged, warn
from ...meshes.extraction import MeshReport, extract_mesh
from ...meshes.mesh import BodyCount, Mesh
from .fast import FastTrainer
from .prepared import PreparedCloud, found_inside
from .published import PublishedTrainer
from .settings import FastPointsConfig, PublishedConfig

WIDE = 256  # layers from which a product of some thousand rows is worth a second thread
RADIUS = 1.0  # normalised units, of the ball that is meshed


def trainer_of(
    config: PublishedConfig | FastPointsConfig, cloud: PreparedCloud, device: torch.device
) -> PublishedTrainer | FastTrainer:
    """What fits these settings to a cloud. Warns where its inside is uncertain."""
    if config.preset != "fast":
        return PublishedTrainer(config, cloud, device)
    inside = found_inside(cloud, config.cloud.lattice)
    if not inside.settled:
        warn("the cloud does not say everywhere what is inside: look at the mesh, scan thin parts more densely")
    return FastTrainer(config, cloud, inside, device)


def threads_for(config: PublishedConfig | FastPointsConfig) -> AbstractContextManager[None]:
    """Around the steps: how many threads torch uses in them."""
    return runtime.small_batches() if config.geometry.width < WIDE else nullcontext()


def fit_field(trainer: PublishedTrainer | FastTrainer, report: Callable[[int, float], None]) -> None:
    """All steps; report gets the number of each and its loss. Raises Diverged where that is not finite."""
    for step in range(1, trainer.config.schedule.steps + 1):
        loss = trainer.step()
        if loss != loss or loss in (float("inf"), float("-inf")):
            raise Diverged("the loss is not finite", where=f"step {step}", todo="use lower rates, or preset fast")
        report(step, loss)


def mesh_of(
    trainer: PublishedTrainer | FastTrainer, cloud: PreparedCloud, *, resolution: int, bodies: BodyCount | None = None
) -> tuple[Mesh, MeshReport]:
    """The surface in the cloud's frame, with its colours. Raises Diverged where there is none.

    bodies: None is as many as `fast` found in the cloud, or one.
    """
    options = {"T_world_normalised": cloud.T_world_normalised, "radius": RADIUS, "bodies": bodies or trainer.bodies}
    try:
        mesh, found = extract_mesh(trainer.sdf(), resolution=resolution, **options)
    except Diverged as error:
        raise Diverged(error.what, why=error.why, todo="take more --steps, or preset fast") from error
    return replace(mesh, colours=colours_at(cloud.thinned.cloud, mesh.vertices)), found
