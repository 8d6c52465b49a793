"""A forest plot shows every difference with its interval of any width, and which ones are resolved."""

from __future__ import annotations

import math
from typing import Any

import pytest
from drawings import axis_of, part, texts_in
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from reports.figures.differences import Bar, forest
from reports.figures.palette import colour, marker
from reports.page import SINGLE

NUMBERS = st.one_of(
    st.floats(allow_subnormal=True), st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e-320, 1e308])
)

FEW = settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
"""Drawing a figure takes a large part of a second, so failures are not shrunk."""


def bar(index: int, delta: float | None, half: float = 0.002, **others: Any) -> Bar:
    known: dict[str, Any] = {"arm": f"arm {index}", "resolved": True, "planned": True}
    low, high = (None, None) if delta is None else (delta - half, delta + half)
    return Bar(**(known | {"index": index, "delta": delta, "low": low, "high": high} | others))


def test_a_difference_is_drawn_in_percentage_points_with_its_interval() -> None:
    figure = forest([bar(1, 0.0125, half=0.005)], baseline="identity")
    (point,), (interval,) = part(figure, "arm-1-point"), part(figure, "arm-1-interval")
    assert point.get_xdata()[0] == pytest.approx(1.25)
    assert list(interval.get_xdata()) == pytest.approx([0.75, 1.75])
    assert "+1.25  [+0.75, +1.75]" in texts_in(figure)
    assert any("minus that of identity" in text for text in texts_in(figure))


def test_a_resolved_difference_is_filled_and_an_unresolved_one_hollow() -> None:
    figure = forest([bar(1, 0.1), bar(2, 0.001, resolved=False)], baseline="identity")
    filled, hollow = (part(figure, f"arm-{index}-point")[0] for index in (1, 2))
    assert to_hex(filled.get_markerfacecolor()).upper() == colour(1)
    assert to_hex(hollow.get_markerfacecolor()) == "#ffffff"
    assert {"resolved", "not resolved"} <= set(texts_in(figure))


def test_a_comparison_that_was_not_planned_is_dotted() -> None:
    figure = forest([bar(1, 0.1), bar(2, 0.1, planned=False)], baseline="identity")
    planned, other = (part(figure, f"arm-{index}-interval")[0].get_linestyle() for index in (1, 2))
    assert planned == "-"
    assert other != "-"
    assert "not planned" in texts_in(figure)


def test_the_interval_on_images_like_these_continues_the_other_as_a_thin_line() -> None:
    figure = forest([bar(1, 0.01, half=0.005, low_images=-0.01, high_images=0.03), bar(2, 0.01)], baseline="identity")
    (thin,) = part(figure, "arm-1-images")
    assert list(thin.get_xdata()) == pytest.approx([-1.0, 0.5, math.nan, 1.5, 3.0], nan_ok=True)
    low, high = axis_of(figure).get_xlim()
    assert low < -1
    assert high > 3
    assert "images like these" in texts_in(figure)
    assert part(figure, "arm-2-images") == []
    assert "images like these" not in texts_in(forest([bar(1, 0.1)], baseline="identity"))


@pytest.mark.parametrize("delta", [None, math.nan, math.inf])
def test_an_arm_without_a_number_has_a_row_with_the_reason(delta: float | None) -> None:
    bars = [bar(1, 0.1), Bar("gone", 2, delta, None, None, False, True, "2 of 3 diverged")]
    figure = forest(bars, baseline="identity")
    assert "2 of 3 diverged" in texts_in(figure)
    assert [label.get_text() for label in axis_of(figure).get_yticklabels()] == ["arm 1", "gone"]
    assert not part(figure, "arm-2-point")


def test_a_difference_of_one_seed_has_no_interval() -> None:
    figure = forest([bar(1, 0.1, low=None, high=None)], baseline="identity")
    assert part(figure, "arm-1-point")
    assert not part(figure, "arm-1-interval")
    assert "+10.00" in texts_in(figure)


def test_an_infinite_interval_has_an_arrow_at_the_edge() -> None:
    figure = forest([bar(1, 0.1, low=-math.inf), bar(2, 0.1)], baseline="identity")
    (arrow,) = part(figure, "arm-1-endless")
    assert arrow.get_xdata()[0] == axis_of(figure).get_xlim()[0]
    assert not part(figure, "arm-2-endless")


def test_arms_are_distinguished_by_their_markers_too() -> None:
    figure = forest([bar(1, 0.1), bar(2, 0.1)], baseline="identity")
    assert [part(figure, f"arm-{index}-point")[0].get_marker() for index in (1, 2)] == [marker(1), marker(2)]


def test_an_arm_far_beyond_the_others_is_an_arrow_at_the_end_of_the_axis() -> None:
    bars = [bar(i, delta) for i, delta in enumerate([0.003, -0.002, 0.001, 0.0])] + [bar(4, 0.6, half=0.2)]
    figure = forest(bars, baseline="identity", margin=0.002)
    axes = axis_of(figure)
    assert axes.get_xscale() == "linear"
    assert 0.5 < axes.get_xlim()[1] < 1
    (arrow,) = part(figure, "arm-4-beyond")
    assert (arrow.get_xdata()[0], arrow.get_marker()) == (axes.get_xlim()[1], ">")
    assert not part(figure, "arm-4-point")
    assert {"+60.00  [+40.00, +80.00]", "beyond the axis"} <= set(texts_in(figure))


def test_the_axis_ends_where_an_error_would_be_below_0_or_above_100_percent() -> None:
    figure = forest([bar(1, 0.9, half=0.3), bar(2, 0.5)], baseline="identity", level=0.0125)
    axes = axis_of(figure)
    assert axes.get_xlim() == pytest.approx((-1.25, 98.75))
    assert "test" not in axes.get_xlabel()
    assert "identity (1.25\N{NO-BREAK SPACE}%)" in axes.get_xlabel()
    assert part(figure, "arm-1-endless")


def test_a_narrow_figure_has_names_and_numbers_above_their_rows() -> None:
    name = "exclusive gate, bias -6"
    figure = forest([bar(1, 0.0125, half=0.005, arm=name), bar(2, 0.1)], baseline="identity", width=SINGLE)
    assert {name, "+1.25  [+0.75, +1.75]"} <= set(texts_in(figure))
    assert [label.get_text() for label in axis_of(figure).get_yticklabels()] == ["", ""]
    box, axes = axis_of(figure).get_window_extent(), figure.bbox
    assert box.width > 0.85 * axes.width


@FEW
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5), st.none() | st.floats(0, 1))
def test_any_difference_can_be_drawn(found: list[tuple[float, float, float]], margin: float | None) -> None:
    bars = [Bar(f"arm {i}", i, *ends, resolved=False, planned=True) for i, ends in enumerate(found)]
    figure = forest(bars, baseline="identity", margin=margin)
    left, right = axis_of(figure).get_xlim()
    for index, (delta, _, _) in enumerate(found):
        for point in part(figure, f"arm-{index}-point"):
            assert left <= point.get_xdata()[0] <= right
        found_marks = [*part(figure, f"arm-{index}-point"), *part(figure, f"arm-{index}-beyond")]
        assert bool(found_marks) == (abs(delta) <= 1e6)
