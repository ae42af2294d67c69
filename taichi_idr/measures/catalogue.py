"""What can be measured of a run: key in eval.json, name, unit, digits, meaning; in the order of every listing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SYMBOLS = {"degrees": "°", "world units": "units", "times the start": "×"}
"""Of units, where there is little room."""


@dataclass(frozen=True)
class Measure:
    """unit: empty for a plain number; "%" of one that is kept as a share. digits: after the point; of lengths in world
    units, which may be nanometres or miles, in all."""

    key: str
    name: str
    unit: str
    digits: int
    meaning: str

    def shown(self, value: float) -> str:
        """The number alone."""
        if self.unit == "world units":
            return f"{float(f'{value:.{self.digits}g}'):.15g}"  # 12340 where `g` alone has 1.234e+04
        return f"{value * (100 if self.unit == '%' else 1):.{self.digits}f}"

    @property
    def symbol(self) -> str:
        return SYMBOLS.get(self.unit, self.unit)


MEASURES = (
    Measure("psnr_db", "PSNR", "dB", 2, "object pixels of the photos fitted to; missed ones count as white"),
    Measure("psnr_hit_db", "PSNR of the hit pixels", "dB", 2, "without the missed pixels"),
    Measure("missed_fraction", "missed object pixels", "%", 3, "without a hit"),
    Measure("ssim", "SSIM", "", 4, "structural similarity, 1 is equal"),
    Measure("mask_iou", "mask IoU", "", 4, "silhouette against hits: intersection over union"),
    Measure("heldout_psnr_db", "held-out PSNR", "dB", 2, "views that the fit never saw"),
    Measure(
        "heldout_own_exposure_db", "held-out PSNR, own exposure", "dB", 2, "after the gains that suit each photo best"
    ),
    Measure("exposure_spread_ev", "spread of exposures", "EV", 2, "standard deviation of the photos' fitted exposures"),
    Measure("exposure_ev", "exposure", "EV", 2, "of one photo as fitted, above the usual photo's"),
    Measure("accuracy", "accuracy", "world units", 4, "mean distance from the mesh to the true surface"),
    Measure("completeness", "completeness", "world units", 4, "mean distance from the true surface to the mesh"),
    Measure("chamfer", "Chamfer", "world units", 4, "mean of the two"),
    Measure("fscore", "F-score at 1 % of the box", "", 4, "of the diagonal of the true surface's box"),
    Measure("normal_error_deg", "normal error", "degrees", 2, "mean angle to the true surface's normals"),
    Measure("dtu_accuracy", "DTU accuracy", "mm", 3, "mean distance from the mesh to the scan where the scanner saw"),
    Measure("dtu_completeness", "DTU completeness", "mm", 3, "mean distance from the scan above the table to the mesh"),
    Measure("dtu_chamfer", "DTU Chamfer", "mm", 3, "mean of the two, as the benchmark reports it"),
    Measure("camera_rotation_deg", "camera rotation", "degrees", 3, "mean error after alignment"),
    Measure("camera_rotation_median_deg", "camera rotation, median", "degrees", 3, "median error after alignment"),
    Measure(
        "camera_rotation_apart_deg",
        "camera rotation, less one of all",
        "degrees",
        3,
        "mean error, less one turn of all cameras in their own axes, as a shifted principal point causes",
    ),
    Measure("camera_rotation_start_deg", "camera rotation at the start", "degrees", 3, "mean error before the fit"),
    Measure("camera_rotation_swing", "largest camera rotation", "times the start", 2, "mean error at a logged step"),
    Measure("camera_centre", "camera centre", "world units", 4, "mean error after alignment"),
    Measure("camera_centre_median", "camera centre, median", "world units", 4, "median error after alignment"),
    Measure("camera_centre_start", "camera centre at the start", "world units", 4, "mean error before the fit"),
    Measure("camera_swing", "largest camera centre", "times the start", 2, "mean error at a logged step"),
    Measure("camera_turned_deg", "cameras turned since the start", "degrees", 3, "mean, less what all have in common"),
    Measure("camera_moved", "cameras moved since the start", "world units", 4, "mean, less what all have in common"),
)


def measured(numbers: Mapping[str, object]) -> Iterator[tuple[Measure, float]]:
    """The measures that `numbers` (eval.json) has, and their values; what is no number is passed over."""
    for measure in MEASURES:
        value = numbers.get(measure.key)
        if isinstance(value, float) or (type(value) is int and abs(value) < 2**63):
            yield measure, value


def metric_lines(numbers: Mapping[str, float]) -> list[str]:
    """`PSNR 23.41 dB`: name, value, unit."""
    return [f"{measure.name} {measure.shown(value)} {measure.unit}".rstrip() for measure, value in measured(numbers)]
