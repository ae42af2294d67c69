"""The one list of measures: what is printed and what the report shows come from it."""

from __future__ import annotations

from taichi_idr.measures.catalogue import MEASURES, Measure, measured, metric_lines


def test_every_measure_stands_once() -> None:
    assert len({measure.key for measure in MEASURES}) == len({measure.name for measure in MEASURES}) == len(MEASURES)
    assert all(measure.meaning and measure.digits > 0 for measure in MEASURES)


def test_lines_come_in_the_order_of_the_list_whatever_that_of_the_numbers() -> None:
    numbers = {measure.key: 0.5 for measure in reversed(MEASURES)}
    assert [measure for measure, _ in measured(numbers)] == list(MEASURES)
    assert [line.rpartition(" 0.5")[0] or line.rpartition(" 50.")[0] for line in metric_lines(numbers)] == [
        measure.name for measure in MEASURES
    ]


def test_what_is_no_number_or_no_measure_is_passed_over() -> None:
    assert list(measured({"psnr_db": None, "ssim": True, "mask_iou": "0.9", "speed": 3.0})) == []


def test_lengths_have_digits_in_any_unit() -> None:
    chamfer = next(measure for measure in MEASURES if measure.key == "chamfer")
    shown = {4.1234e-10: "4.123e-10", 0.000123456: "0.0001235", 0.41234: "0.4123", 12.0: "12", 98765.4: "98770"}
    assert {value: chamfer.shown(value) for value in shown} == shown


def test_a_share_is_shown_in_hundredths() -> None:
    share = Measure("missed", "missed", "%", 2, "some")
    assert share.shown(0.0123) == "1.23"
    assert Measure("turn", "turn", "degrees", 1, "some").symbol == "°"
