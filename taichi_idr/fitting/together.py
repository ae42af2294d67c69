"""Processes of one fit: how they find each other, and what those do that do not lead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
import torch.distributed as dist

from ..errors import RankLost, UsageError
from ..methods.ranks import ALONE, Order, Ranks
from ..methods.trainer import Trainer
from .place import Place

PATIENCE = timedelta(minutes=10)  # for another rank to answer: rank 0 draws previews and writes between steps


@contextmanager
def joined(place: Place) -> Iterator[Ranks]:
    """All processes of the fit, once they are there; when rank 0 leaves, the others are told. Raises RankLost."""
    if place.world == 1:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(backend, timeout=PATIENCE, rank=place.rank, world_size=place.world)
    except (RuntimeError, ValueError) as error:
        raise RankLost("the processes of this fit do not find each other", why=str(error).splitlines()[0]) from error
    ranks = Ranks(place.rank, place.world)
    try:
        yield ranks
    finally:
        with suppress(RankLost):
            ranks.tell(Order.END)
        dist.destroy_process_group()


def check_splits(trainer: Trainer, ranks: Ranks, preset: str) -> None:
    """Raises UsageError where the trainer cannot share its batches with other processes."""
    if ranks.world > 1 and not trainer.splits:
        why = f"preset {preset} is fitted by one process: only idr and nerf can be by {ranks.world}"
        raise UsageError("a fit of one process", where="torchrun", why=why, todo="use tidr fit without torchrun")


def follow(trainer: Trainer, ranks: Ranks) -> None:
    """Do as rank 0 says until it ends. Raises RankLost."""
    with trainer.threads():
        while True:
            order, number = ranks.hear()
            if order is Order.END:
                return
            if order is Order.STEP:
                trainer.total_steps = number
                trainer.step()
            elif order is Order.STATE:
                trainer.load_state(ranks.hear_state(), number)
            else:
                trainer.halve_rates()
