"""One fit in several processes, each with a part of every batch, as `torchrun` starts them (docs/decisions/0037).

Rank 0 leads: it alone decides and writes. The others hear its orders, and do the same steps with their own rays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import TypeVar

import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor

from ..capture.pixels import PixelBatch
from ..errors import RankLost

Rows = TypeVar("Rows", Tensor, PixelBatch)


class Order(IntEnum):
    """What rank 0 tells the others to do next."""

    STEP = 0
    STATE = 1
    HALVE = 2
    END = 3


class Ranks:
    """Of `world` processes, the one with this `rank`. Alone, every method leaves things as they are.

    Methods raise RankLost where another process is gone, or does not answer within the time that the group was made
    with.
    """

    def __init__(self, rank: int = 0, world: int = 1) -> None:
        self.rank, self.world = rank, world

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def part(self, rows: Rows) -> Rows:
        """This rank's rows of N: as many as every other's, so that a mean over all is the mean of theirs.

        What does not divide by the number of ranks is left out; of fewer rows than ranks, each has all.
        """
        whole = len(rows) - len(rows) % self.world
        return rows if self.world == 1 or not whole else rows[torch.arange(self.rank, whole, self.world)]

    def agree(self, yes: Tensor) -> bool:
        """Whether all say yes, a tensor without axes."""
        if self.world == 1:
            return bool(yes)
        votes = yes.to(torch.int32)
        with _others():
            dist.all_reduce(votes, dist.ReduceOp.MIN)
        return bool(votes)

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Give every parameter the mean of all ranks' gradients; none, where no rank has one."""
        if self.world == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        for dtype in dict.fromkeys(parameter.dtype for parameter in trained):  # a set's order is each process's own
            self._average([parameter for parameter in trained if parameter.dtype == dtype])

    def totals(self, numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors without axes, of all rays: counts, which are integers, are added up, everything else is averaged."""
        if self.world == 1:
            return dict(numbers)
        shares = [x.detach().double() / (self.world if x.dtype.is_floating_point else 1) for x in numbers.values()]
        sums = torch.stack(shares)
        with _others():
            dist.all_reduce(sums)
        return dict(zip(numbers, sums, strict=True))

    def tell(self, order: Order, number: int = 0) -> None:
        """Rank 0 to the others, who `hear` it."""
        if self.leads and self.world > 1:
            with _others():
                dist.broadcast(torch.tensor([order, number]), 0)

    def hear(self) -> tuple[Order, int]:
        """The next order of rank 0, and the number that comes with it."""
        heard = torch.zeros(2, dtype=torch.int64)
        with _others():
            dist.broadcast(heard, 0)
        return Order(int(heard[0])), int(heard[1])

    def tell_state(self, tensors: dict[str, Tensor], step: int) -> None:
        """Rank 0 to the others: to go on from there."""
        if self.leads and self.world > 1:
            on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            body = torch.frombuffer(bytearray(safetensors.torch.save(on_cpu)), dtype=torch.uint8)
            self.tell(Order.STATE, step)
            with _others():
                dist.broadcast(torch.tensor([len(body)]), 0)
                dist.broadcast(body, 0)

    def hear_state(self) -> dict[str, Tensor]:
        """What comes with Order.STATE."""
        size = torch.zeros(1, dtype=torch.int64)
        with _others():
            dist.broadcast(size, 0)
            body = torch.zeros(int(size), dtype=torch.uint8)
            dist.broadcast(body, 0)
        return safetensors.torch.load(body.numpy().tobytes())

    def _average(self, parameters: list[Tensor]) -> None:
        has = [parameter.grad is not None for parameter in parameters]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), gradients[0].new_tensor(has)])
        with _others():
            dist.all_reduce(flat)
        parts = flat[: -len(has)].div_(self.world).split([parameter.numel() for parameter in parameters])
        for parameter, part, count in zip(parameters, parts, flat[-len(has) :].tolist(), strict=True):
            parameter.grad = part.view_as(parameter) if count else None


ALONE = Ranks()


@contextmanager
def _others() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        why, todo = str(error).splitlines()[0][:200], "run the same command again to go on"
        raise RankLost(
            "another process of this fit is gone", where=f"rank {dist.get_rank()}", why=why, todo=todo
        ) from error
