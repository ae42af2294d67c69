"""Which process of a fit this is, as `torchrun` says it; read before torch is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..machine import available_cores

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """What `torchrun` says to a process: its rank of so many, and the same among those of its machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Place:
        """Alone, where `torchrun` has not started it. Raises UsageError."""
        if not all(name in environment for name in TORCHRUN):
            return cls()
        try:
            return cls(*(int(environment[name]) for name in TORCHRUN[:4]))
        except ValueError as error:
            raise UsageError("bad value", where=", ".join(TORCHRUN[:4]), why=str(error)) from error

    @property
    def threads(self) -> int | None:
        """Its share of the machine's cores; None where it has all."""
        return max(1, available_cores() // self.local_world) if self.local_world > 1 else None

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def refuse_plain(self, photos: Path) -> None:
        """Raises UsageError where there are others, who would all find cameras of the same photos."""
        if self.world > 1:
            why = f"{self.world} processes would each make a capture of them"
            raise UsageError("photos without cameras", where=photos, why=why, todo="make one first: tidr prepare")

    def take_gpu(self) -> None:
        """Leave this process one GPU, its own, before anything looks for them: Taichi takes the first."""
        if self.world > 1:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            named = visible.split(",") if visible else [str(number) for number in range(self.local_world)]
            os.environ["CUDA_VISIBLE_DEVICES"] = named[self.local_rank % len(named)]
