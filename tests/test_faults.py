"""docs/faults.md says what the tests hold, and every row has a test or a reason."""

from __future__ import annotations

import faults


def test_the_page_is_that_of_the_marks() -> None:
    assert faults.PAGE.read_text(encoding="utf-8") == faults.page(), "run python tests/faults.py"


def test_every_row_has_a_test_or_else_a_reason() -> None:
    held = set(faults.marked_tests())
    assert held | set(faults.REASONS) == set(faults.ROWS)
    assert not held & set(faults.REASONS)
