"""Every number of a fit, once, as frozen data. IDs such as TRACE-5 refer to docs/idr.md.

Presets are instances; `--set tracer.samples=64` makes a changed copy. Unknown keys are refused with the nearest name.
"""

from __future__ import annotations

import difflib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import UsageError


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TracerConfig(_Frozen):
    """The exact tracer, section 2 of the method (TRACE-1 to TRACE-11)."""

    radius: float = Field(1.0, gt=0, description="bounding sphere, normalised frame")
    tolerance: float = Field(5e-5, gt=0, description="|f| that counts as on the surface")
    line_search_step: float = Field(0.5, gt=0, lt=1)
    line_search_iterations: int = Field(3, ge=0)
    sphere_tracing_iterations: int = Field(10, ge=1)
    samples: int = Field(100, ge=2, description="equal samples where sphere tracing has not converged")
    secant_iterations: int = Field(8, ge=0)


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """`["loss.mask_weight=30"]` -> `{"loss": {"mask_weight": "30"}}`; values are converted by the model.

    Raises UsageError for a text without `=`.
    """
    tree: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError("not an assignment", where=f"--set {text}", todo="write key=value")
        *groups, leaf = key.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
            if not isinstance(node, dict):
                raise UsageError("a value where a group is needed", where=f"--set {text}", todo=f"set keys below {group}")
        node[leaf] = value
    return tree
