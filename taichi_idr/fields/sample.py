"""What a geometry field says about points."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

CHUNK = 65536  # points per evaluation of the field: bounds memory


@dataclass(frozen=True)
class GeometrySample:
    """At N points: sdf (N,), gradient (N, 3) of it, feature z (N, Z), encoding (N, 2 L)."""

    sdf: Tensor
    gradient: Tensor
    feature: Tensor
    encoding: Tensor

    def __getitem__(self, index: Tensor | slice) -> GeometrySample:
        return GeometrySample(self.sdf[index], self.gradient[index], self.feature[index], self.encoding[index])
