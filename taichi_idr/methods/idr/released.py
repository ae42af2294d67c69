"""Names of the released code's checkpoints (NET-11) for the parameters of preset `idr`, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_NETWORKS = {"geometry": "implicit_network", "radiance": "rendering_network"}
_OURS = {official: ours for ours, official in _NETWORKS.items()}
_OUR_NAME = re.compile(r"(geometry|radiance)\.layers\.(\d+)\.(weight_g|weight_v|bias)")
_OFFICIAL_NAME = re.compile(r"(implicit_network|rendering_network)\.lin(\d+)\.(weight_g|weight_v|bias)")


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`geometry.layers.3.weight_g` -> `implicit_network.lin3.weight_g`; parameters of other names are left out."""
    found = [(_OUR_NAME.fullmatch(name), value) for name, value in state.items()]
    return {f"{_NETWORKS[m[1]]}.lin{m[2]}.{m[3]}": value for m, value in found if m}


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of `to_official`; other names are left out."""
    found = [(_OFFICIAL_NAME.fullmatch(name), value) for name, value in state.items()]
    return {f"{_OURS[m[1]]}.layers.{m[2]}.{m[3]}": value for m, value in found if m}
