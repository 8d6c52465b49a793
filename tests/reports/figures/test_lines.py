"""Lines show every value of every arm; a value that an axis cannot show is a gap with a mark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from drawings import axis_of, drawn, part, texts_in
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from reports.figures.lines import Curve, Trace, curves, propagation
from reports.page import SINGLE
from resnet_space.errors import InputError

NUMBERS = st.one_of(
    st.floats(allow_subnormal=True), st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e-320, 1e308])
)

FEW = settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
"""Drawing a figure takes a large part of a second, so failures are not shrunk."""


def curve(index: int, mean: Sequence[float], half: float = 0.01) -> Curve:
    low, high = [value - half for value in mean], [value + half for value in mean]
    return Curve(f"arm {index}", index, range(1, len(mean) + 1), mean, low, high)


def trace(index: int, value: Sequence[float]) -> Trace:
    return Trace(f"arm {index}", index, range(1, len(value) + 1), value)


def test_a_curve_is_drawn_in_percent_with_its_band() -> None:
    figure = curves([curve(3, [0.5, 0.4])])
    assert drawn(figure, "arm-3-line") == pytest.approx([50, 40])
    assert [artist.get_gid() for artist in axis_of(figure).collections] == ["arm-3-band"]
    assert axis_of(figure).collections[0].get_datalim(axis_of(figure).transData).y0 == pytest.approx(39)


def test_a_measure_that_is_not_a_percentage_is_drawn_unscaled() -> None:
    assert drawn(curves([curve(0, [2.5, 2.0])], measure="training loss"), "arm-0-line") == [2.5, 2.0]


@pytest.mark.parametrize(("last", "scale"), [(0.04, "log"), (0.06, "linear")])
def test_errors_over_more_than_a_decade_have_a_logarithmic_axis(last: float, scale: str) -> None:
    assert axis_of(curves([curve(0, [0.5, last])])).get_yscale() == scale


def test_a_band_down_to_zero_does_not_stretch_the_axis() -> None:
    axes = axis_of(curves([Curve("a", 0, [1, 2], [0.9, 0.01], [0.8, 1e-9], [1.0, 0.02])]))
    assert 0.2 < axes.get_ylim()[0] < 1


def test_a_band_down_to_zero_reaches_the_edge_of_a_logarithmic_axis_without_a_cliff() -> None:
    figure = curves([Curve("a", 0, [1, 2, 3], [0.9, 0.05, 0.05], [0.8, 0.0, 0.04], [1.0, 0.06, 0.06])])
    axes = axis_of(figure)
    (band,) = axes.collections
    (path,) = band.get_paths()
    assert axes.get_ylim()[0] == path.vertices[:, 1].min() > 0


def test_the_name_of_an_arm_is_at_the_end_of_its_line() -> None:
    figure = curves([curve(0, [0.5, 0.1]), curve(1, [0.5, 0.4]), curve(2, [0.5, 0.11])])
    places = {index: part(figure, f"arm-{index}-label", Text)[0] for index in range(3)}
    assert {index: text.get_text() for index, text in places.items()} == {0: "arm 0", 1: "arm 1", 2: "arm 2"}
    heights = {index: text.get_position()[1] for index, text in places.items()}
    assert heights[0] < heights[2] < heights[1]
    boxes = [text.get_window_extent() for text in places.values()]
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])
    assert not figure.legends


def test_names_that_are_too_long_for_a_narrow_figure_are_in_a_legend() -> None:
    found = [Curve("shortcut-only gate, bias -6", 0, [1, 2], [0.5, 0.4], [0.4, 0.3], [0.6, 0.5])]
    assert curves(found, width=SINGLE).legends
    assert not curves(found).legends


@pytest.mark.parametrize(("value", "mark"), [(0.0, "v"), (math.nan, "x"), (math.inf, "^")])
def test_a_value_that_a_logarithmic_axis_cannot_show_is_a_gap_with_a_mark(value: float, mark: str) -> None:
    figure = propagation({"gradient norm": {"at the end": [trace(0, [1.0, value, 1e-4])]}})
    assert np.isnan(drawn(figure, "arm-0-line")).tolist() == [False, True, False]
    (gap,) = part(figure, "arm-0-gap")
    assert (list(gap.get_xdata()), gap.get_marker()) == ([2], mark)
    assert {"v": "zero", "x": "no number", "^": "infinite"}[mark] in texts_in(figure)


def test_zero_on_a_linear_axis_is_drawn_as_a_point() -> None:
    figure = propagation({"dead ReLUs, %": {"at the end": [trace(0, [0.0, 0.25])]}})
    assert drawn(figure, "arm-0-line") == [0, 25]
    assert not part(figure, "arm-0-gap")


def test_a_measure_with_negative_values_has_a_linear_axis() -> None:
    figure = propagation({"gain": {"at the end": [trace(0, [-1.0, 100.0, 0.1])]}})
    assert axis_of(figure).get_yscale() == "linear"
    assert drawn(figure, "arm-0-line") == [-1.0, 100.0, 0.1]


def test_a_value_without_neighbours_has_a_marker() -> None:
    (line,) = part(propagation({"variance": {"end": [trace(0, [1.0, math.nan, *[2.0] * 20])]}}), "arm-0-line")
    assert 0 in line.get_markevery()
    assert len(line.get_markevery()) < 10


def test_each_measure_has_a_panel_with_its_heading() -> None:
    headings = ["gradient norm", "variance", "dead ReLUs, %"]
    traces = [trace(0, [1.0, 2.0])]
    figure = propagation({heading: {"at initialisation": traces, "after epoch 9": traces} for heading in headings})
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == headings
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["at initialisation", "after epoch 9"]


def test_the_start_and_the_end_of_the_training_have_one_scale() -> None:
    figure = propagation({"gradient norm": {"start": [trace(0, [1.0, 1e-6])], "end": [trace(0, [1e3, 1.0])]}})
    start, end = figure.axes
    assert start.get_yscale() == end.get_yscale() == "log"
    assert start.get_ylim() == end.get_ylim()
    assert start.get_ylim()[0] < 1e-6 < 1e3 < start.get_ylim()[1]


def test_a_measure_without_values_has_no_panel() -> None:
    figure = propagation({"gradient norm": {"end": [trace(0, [1.0, 2.0])]}, "gain": {"end": [trace(0, [])]}})
    assert [axes.get_ylabel() for axes in figure.axes] == ["gradient norm"]


def test_an_arm_in_several_panels_is_in_the_legend_once() -> None:
    figure = propagation({"a": {"end": [trace(0, [1.0]), trace(1, [1.0])]}, "b": {"end": [trace(0, [2.0])]}})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["arm 0", "arm 1"]


@FEW
@given(st.lists(st.lists(NUMBERS, max_size=6), max_size=4), st.sampled_from(["variance", "dead ReLUs, %"]))
def test_any_value_can_be_drawn(values: list[list[float]], heading: str) -> None:
    traces = [trace(index, value) for index, value in enumerate(values)]
    figure = propagation({heading: {"end": traces}})
    for index, value in enumerate(values):
        seen = sum(np.isfinite(drawn(figure, f"arm-{index}-line"))) if value else 0
        gaps = sum(len(gap.get_xdata()) for gap in part(figure, f"arm-{index}-gap"))
        assert seen + gaps == len(value)


@pytest.mark.parametrize(
    "wrong", [lambda: Curve("a", 0, [1, 2], [0.1], [0.1], [0.1]), lambda: Trace("a", 0, [1], [0.1, 0.2])]
)
def test_values_of_different_lengths_are_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=r"^a: must have the same number of values in each; got"):
        wrong()
