"""Errors of trained cameras over the steps, drawn."""

from __future__ import annotations

from ..measures.camera_curves import CameraCurves
from .charts import line_chart, svg_file

CURVES_FILE = "cameras.svg"


def curve_charts(curves: CameraCurves, unit: str = "world units") -> list[str]:
    """Rotation and centre error over the steps, log axis, as SVG elements."""
    charts = {
        "Camera rotation, mean error, °": curves.rotation_deg,
        f"Camera centre, mean error, {unit}": curves.centre,
    }
    steps = curves.steps.tolist()
    drawn = [
        line_chart(title, {"error": list(zip(steps, values.tolist(), strict=True))}, log=True)
        for title, values in charts.items()
    ]
    return [chart for chart in drawn if chart]


def curves_svg(curves: CameraCurves, unit: str = "world units") -> str:
    """`curve_charts` side by side as a file; empty text where there is nothing to draw."""
    charts = curve_charts(curves, unit)
    return svg_file(charts) if charts else ""
