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
    """Continue from `adam_state`. Raises KeyError, ValueError where the tensors are of other parameters."""
    for index, parameter in enumerate(adam.param_groups[0]["params"]):
        found = unprefixed(str(index), tensors)
        if found:
            expected = {"step": torch.zeros(()), "exp_avg": parameter, "exp_avg_sq": parameter}
            adam.state[parameter] = {name: alike(found[name], like).clone() for name, like in expected.items()}


def alike(value: Tensor, like: Tensor) -> Tensor:
    """`value`, once it is known to have the shape of `like` and its kind of numbers. Raises ValueError.

    Torch itself would cast, and spread one number over a whole tensor.
    """
    kinds = [(x.is_floating_point(), x.is_complex(), x.dtype is torch.bool) for x in (value, like)]
    if value.shape != like.shape or kinds[0] != kinds[1]:
        found, expected = (f"{x.dtype} {tuple(x.shape)}" for x in (value, like))
        raise ValueError(f"expected {expected}, got {found}")
    return value


def joined(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Named parts of a state as one: `{"a": {"x": t}}` -> `{"a.x": t}`."""
    return {name: value for part, tensors in parts.items() for name, value in prefixed(part, tensors).items()}


def prefixed(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`{"a": x}` -> `{"part.a": x}`."""
    return {f"{part}.{name}": value for name, value in tensors.items()}


def unprefixed(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of `prefixed`; other parts are left out."""
    return {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}
