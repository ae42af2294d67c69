"""Settings of materials."""

from __future__ import annotations

from pydantic import Field

from ..settings import Group


class MaterialConfig(Group):
    """Pictures that a material is learned from, its network, and its training."""

    views: int = Field(
        default=48, ge=1, le=10**9, description="pictures, at most, from the cameras of the look's photos"
    )
    size: int = Field(default=160, ge=16, le=4096, description="pixels of their longer side")
    width: int = Field(default=64, ge=8, le=4096)
    hidden_layers: int = Field(default=3, ge=1, le=64)
    frequencies: int = Field(default=2, ge=0, le=32, description="NET-1 on normal, view and mirrored view")
    ahead: tuple[float, ...] = Field(
        default=(0.02, 0.05, 0.1, 0.2, 0.4), description="distances along the normal at which f is asked, normalised"
    )
    below: tuple[float, ...] = Field(default=(0.02, 0.05, 0.1), description="the same against the normal")
    aslant: tuple[float, ...] = Field(default=(0.05, 0.15, 0.4), description="the same between normal and horizon")
    steps: int = Field(default=800, ge=1, le=10**9)
    pixels: int = Field(default=4096, ge=1, le=1 << 22, description="per step")
    rate: float = Field(default=3e-3, gt=0, description="of Adam, falling by a cosine")
    floor: float = Field(default=0.01, ge=0, le=1, description="share of it at the end")
    seed: int = Field(default=0, ge=0, le=(1 << 63) - 1)
