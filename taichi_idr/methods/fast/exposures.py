"""Exposure and white balance of each photo, learned with the object (docs/decisions/0023)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...capture.exposure import BRIGHT, DARK, LIFT, POWER, gains_of
from ...capture.pixels import Photos
from ...capture.shared_points import estimated_stops, spread_beside_neighbours
from ...errors import warn
from ...state import alike
from ...types import Cameras
from .settings import ExposureConfig

LIFTED = 1 + 2 * LIFT  # what is added to colours in [-1, 1], which an exposure then multiplies
GREY = 0.5 + LIFT  # lifted colour in [0, 1] of the pixels that stand for what was known before
NOISE = 0.02  # lifted colour; deviations below it count as squares, larger ones as they are
SURE = 8.0  # standard errors of a photo's exposure: points that lie together err alike
KNOWN = "each photo's is known (exposures.json)"
DIFFERS = "exposure differs by about {:.1f} EV from photo to photo: {}"
FITTED = "each photo's is fitted (exposure.mode)"
SHADE_OF_WHITE = 1.0  # colour in [-1, 1] of a channel that is as bright as a file can say


class PhotoExposures:
    """stops (V, 3): of each photo and channel, EV, the median photo's 0; None where photos are taken as they are.

    A photo's gain is the ratio of two sums over its pixels, of what it shows and of what the renderer says, lifted as
    `capture.exposure` has it; both fade from visit to visit. Nothing of it is in the graph.
    """

    def __init__(self, config: ExposureConfig) -> None:
        self.config = config
        self.stops: Tensor | None = None
        self._sums: Tensor | None = None  # (2, V, 3): shown, rendered

    def start(
        self, photos: Photos, cameras: Cameras, hull: Tensor, *, rough: bool, known: np.ndarray | None = None
    ) -> None:
        """Begin with what the hull's points show in several photos, if exposures are to be fitted.

        known: (V, 3) EV; unless asked to be fitted they stay as they are: they come from points that many photos show,
        and a renderer that knows directions would mistake shading for exposure. rough: poses show other points than
        they say, whose colours differ: no reason to fit exposures unasked.
        """
        mode = self.config.mode
        if mode == "off" or (mode == "auto" and rough) or not bool(hull.any()):
            return
        if known is not None:
            spread, stops = known.mean(axis=1).std(), torch.from_numpy(known).to(hull.device)
            warn(DIFFERS.format(spread, KNOWN))
            self._begin(stops, fitted=mode == "on")
            return
        stops, error = estimated_stops(photos, cameras, hull)
        spread = spread_beside_neighbours(stops, cameras)
        if mode == "auto" and spread <= max(self.config.least_spread, SURE * error):
            return
        if mode == "auto":
            warn(DIFFERS.format(spread, FITTED))
        self._begin(stops, fitted=mode != "fixed")

    def shown(self, view: Tensor, predicted: Tensor, observed: Tensor) -> Tensor:
        """Colours (N, 3) in [-1, 1] as the photos `view` (N,) show them; what they cannot show is as they do.

        Where a photo is as bright, or dark, as files can say, a prediction beyond is no error.
        """
        if self.stops is None:
            return predicted
        shown = (predicted + LIFTED) * gains_of(self.stops)[view.long()] - LIFTED
        most = torch.where(observed >= SHADE_OF_WHITE, SHADE_OF_WHITE, torch.inf)
        least = torch.where(observed <= -SHADE_OF_WHITE, -SHADE_OF_WHITE, -torch.inf)
        return torch.minimum(torch.maximum(shown, least), most)

    @torch.no_grad()
    def learn(self, view: Tensor, predicted: Tensor, observed: Tensor, progress: float) -> None:
        """Look at pixels (N,) of photos `view`: what the renderer says, and what they show, (N, 3) in [-1, 1]."""
        if self.stops is None or self._sums is None or progress < self.config.start:
            return
        view, gain = view.long(), gains_of(self.stops)
        rendered, seen = (predicted.detach() + LIFTED) / 2, (observed + LIFTED) / 2
        said = rendered * gain[view]
        clear = (said > LIFT + DARK) & (said < LIFT + BRIGHT) & (seen > LIFT + DARK) & (seen < LIFT + BRIGHT)
        weight = torch.where(clear, NOISE / (NOISE + (said - seen).abs()), 0.0)  # not clear where not finite
        pair = torch.stack([seen, rendered.nan_to_num()]) * weight
        visited = torch.zeros_like(self.stops[:, 0]).index_fill_(0, view, 1.0)
        fading = 1 - (1 - self.config.memory) * visited[:, None]
        self._sums = (self._sums * fading).index_add_(1, view, pair)
        self.stops = self._settled(self._sums)

    def state(self) -> dict[str, Tensor]:
        """Nothing where photos are taken as they are."""
        if self.stops is None:
            return {}
        return {"stops": self.stops, **({} if self._sums is None else {"sums": self._sums})}

    def load_state(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Go on from `state()`; checkpoints from before exposures were fitted have none."""
        stops, sums = tensors.get("stops"), tensors.get("sums")
        self.stops = None if stops is None else alike(stops, torch.zeros(len(stops), 3)).to(device)
        self._sums = None if stops is None or sums is None else alike(sums, torch.stack([stops, stops])).to(device)

    def _begin(self, stops: Tensor, *, fitted: bool = True) -> None:
        """The first estimate weighs as much as some pixels of each photo; without sums nothing is learned."""
        gain = gains_of(stops)
        self.stops = stops
        if fitted:
            self._sums = self.config.known * GREY * torch.stack([gain, torch.ones_like(gain)])

    def _settled(self, sums: Tensor) -> Tensor:
        """Stops (V, 3) of the sums and of some pixels without a gain; the median photo is as rendered."""
        unchanged = self.config.prior * GREY
        stops = POWER * torch.log2((sums[0] + unchanged) / (sums[1] + unchanged))
        return stops - stops.quantile(0.5, dim=0)
