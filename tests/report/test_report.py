"""Charts and the page of a report; a whole report is made in test_demo.py."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import Addresses

from taichi_idr.report.charts import HEIGHT, WIDTH, Axis, line_chart, linear_axis, log_axis
from taichi_idr.report.page import Page, Row, ViewPictures, page_html

ROUNDING = 1e-6
EMPTY = Page("t", "s", [], "", [], [], [], [], {}, [], [])


finite = st.floats(-1e6, 1e6, allow_subnormal=False)  # the runtime flushes them to zero


@given(low=finite, span=st.floats(1e-3, 1e6))
def test_a_linear_axis_ends_on_ticks_around_the_values(low: float, span: float):
    axis = linear_axis(low, low + span)
    slack = ROUNDING * (axis.high - axis.low)
    assert axis.low <= low + slack
    assert axis.high >= low + span - slack
    assert 2 <= len(axis.ticks) <= 14
    steps = [b - a for a, b in zip(axis.ticks, axis.ticks[1:], strict=False)]
    assert max(steps) - min(steps) <= 1e-3 * max(steps)


def test_an_axis_of_one_value_still_has_a_length():
    assert linear_axis(3.0, 3.0).high > linear_axis(3.0, 3.0).low
    assert log_axis(10.0, 10.0).high > log_axis(10.0, 10.0).low


@given(low=st.floats(1e-6, 1e3), factor=st.floats(1.0, 1e6))
def test_a_log_axis_holds_its_values_evenly_by_powers(low: float, factor: float):
    axis = log_axis(low, low * factor)
    assert -ROUNDING <= axis.share(low) <= axis.share(low * factor) <= 1 + ROUNDING
    middle = math.sqrt(axis.low * axis.high)
    assert axis.share(middle) == pytest.approx(0.5)


@given(low=st.floats(1e-6, 1e3), factor=st.floats(1.0, 99.0))
def test_a_narrow_log_axis_has_labels_enough(low: float, factor: float):
    axis = log_axis(low, low * factor)
    assert (axis.ticks[0], axis.ticks[-1]) == (axis.low, axis.high)
    assert 2 <= len(axis.ticks) <= 8
    assert axis.high / axis.low <= 5.01**2 * factor
    assert {f"{tick:e}"[0] for tick in axis.ticks} <= {"1", "2", "5"}


def test_a_chart_is_well_formed_and_stays_in_its_frame():
    text = line_chart("a < b", {"one": [(0, 1.0), (100, 3.0)], "two & three": [(0, 2.0), (50, 2.5)]}, below=str)
    root = ElementTree.fromstring(text)
    lines = [element for element in root if element.tag == "polyline"]
    assert len(lines) == 2
    for line in lines:
        numbers = [float(number) for number in re.findall(r"[-\d.]+", line.attrib["points"])]
        assert all(0 <= x <= WIDTH for x in numbers[::2])
        assert all(0 <= y <= HEIGHT for y in numbers[1::2])
    assert "a < b" in "".join(root.itertext())


def test_higher_values_are_higher_up():
    root = ElementTree.fromstring(line_chart("t", {"s": [(0, 1.0), (10, 2.0)]}))
    (line,) = [element for element in root if element.tag == "polyline"]
    left, right = (tuple(map(float, point.split(","))) for point in line.attrib["points"].split())
    assert left[0] < right[0]
    assert left[1] > right[1]


def test_values_that_cannot_be_drawn_are_left_out():
    points = [(0, math.nan), (1, 0.0), (2, 1.0), (3, math.inf), (4, 10.0)]
    (line,) = [e for e in ElementTree.fromstring(line_chart("t", {"s": points}, log=True)) if e.tag == "polyline"]
    assert len(line.attrib["points"].split()) == 2
    assert line_chart("t", {"s": [(0, math.nan)], "r": []}) == ""


def test_an_axis_maps_its_ends_to_zero_and_one():
    axis = Axis(2.0, 6.0, (2.0, 6.0))
    assert (axis.share(2.0), axis.share(6.0)) == (0.0, 1.0)


def test_a_page_points_to_nothing_but_its_neighbours_and_runs_nothing():
    view = ViewPictures("000", {"photo": "a.webp", "rendering": "b.webp", "normals": "c.webp", "error": "d.webp"})
    page = Page(
        "ewer",
        "s",
        [Row("PSNR", "1")],
        "orbit.webp",
        [view],
        [],
        [],
        [],
        {"mesh": "../mesh/mesh.glb"},
        [Row("k", "v")],
        [],
    )
    reader = Addresses()
    reader.feed(page_html(page))
    assert reader.found == ["orbit.webp", "a.webp", "b.webp", "c.webp", "d.webp", "../mesh/mesh.glb"]
    assert not {"script", "link", "iframe"} & set(reader.elements)


def test_a_page_shows_the_curves_of_trained_cameras_beside_it():
    reader = Addresses()
    reader.feed(page_html(replace(EMPTY, cameras="cameras.svg")))
    assert reader.found == ["cameras.svg"]


def test_a_page_says_how_trained_cameras_moved():
    text = page_html(replace(EMPTY, camera_charts=["<svg></svg>"], camera_rows=[Row("Turned", "1.2 °", "mean")]))
    section = text.split("<h2>Trained cameras</h2>")[1]
    assert "<svg></svg>" in section and "1.2 °" in section


def test_a_verdict_comes_first_and_names_views_beside_a_list_of_all():
    flagged = Row("View 007", "mask IoU 0.1", "the mask is inverted")
    text = page_html(
        replace(EMPTY, verdict=["Good but.", "a < b"], flagged=[flagged], every_view=[flagged, Row("v", "1")])
    )
    shown, folded = text.split("<h2>Verdict</h2>")[1].split("<details>")
    assert "<p>a &lt; b</p>" in shown and shown.count("the mask is inverted") == 1
    assert folded.count("the mask is inverted") == 1 and "<td>v</td>" in folded


def test_text_from_outside_is_escaped():
    text = page_html(
        Page("<script>x</script>", "a & b", [Row("<b>", "<i>")], "", [], [], [], [], {}, [Row("k", "<u>")], [])
    )
    assert "<script>" not in text
    assert "<i>" not in text
    assert "<u>" not in text
    assert "a &amp; b" in text


def test_what_is_missing_has_no_heading():
    text = page_html(EMPTY)
    assert "<h2>" not in text
    assert "<section>" not in text


def test_names_of_many_lines_stand_below_the_title():
    """Beside it they would run into it, as those of six terms of a loss do."""
    points = [(0.0, 1.0), (1.0, 2.0)]
    few, many = ("one", "two"), ("loss", "colour", "mask", "eikonal", "smooth", "consistency")
    for names, beside in ((few, True), (many, False)):
        chart = ElementTree.fromstring(line_chart("Loss and its terms", dict.fromkeys(names, points)))
        texts = {text.text: text for text in chart.iter("text")}
        rows = {texts[name].get("y") for name in names}
        assert (rows == {texts["Loss and its terms"].get("y")}) is beside
        assert len({texts[name].get("style") for name in names}) == len(names)
