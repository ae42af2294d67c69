"""The state of parts as named tensors: `{"part.name": tensor}`, and that of torch's Adam."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def adam_state(adam: torch.optim.Adam) -> dict[str, Tensor]:
    """Moments and counters of torch's Adam as named tensors, by the number of the parameter."""
    parameters = adam.param_groups[0]["params"]
    return joined(
        {
            str(index): {name: torch.as_tensor(value) for name, value in adam.state.get(parameter, {}).items()}
            for index, parameter in enumerate(parameters)
        }
    )


def load_adam_state(adam: torch.optim.Adam, tensors: Mapping[str, Tensor]) -> None:
    """Continue from `adam_state`."""
    for index, parameter in enumerate(adam.param_groups[0]["params"]):
        found = unprefixed(str(index), tensors)
        if found:
            adam.state[parameter] = {name: value.clone() for name, value in found.items()}


def joined(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Named parts of a state as one: `{"a": {"x": t}}` -> `{"a.x": t}`."""
    return {name: value for part, tensors in parts.items() for name, value in prefixed(part, tensors).items()}


def prefixed(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`{"a": x}` -> `{"part.a": x}`."""
    return {f"{part}.{name}": value for name, value in tensors.items()}


def unprefixed(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of `prefixed`; other parts are left out."""
    return {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}
