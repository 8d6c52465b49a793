"""Figures of arms show every arm and all of its numbers, each arm in its own look, and nothing can break them."""

from __future__ import annotations

import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from reports import comparisons, figures, themed
from reports.comparisons import Bar, Curve, Distribution, Trace
from reports.numbering import Place
from resnet_space.errors import InputError

HOSTILE = [r"$\frac{", "$x$", "<script>alert(1)</script>", "]]> --> &amp;", "шорткат", "\x00\x1b", "", "a\nb" * 400]
NUMBERS = st.one_of(
    st.floats(allow_subnormal=True), st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e-320, 1e308])
)
FEW = settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
"""A figure takes a good part of a second: no shrinking."""


def bar(index: int, delta: float | None, half: float = 0.002, **others: Any) -> Bar:
    known: dict[str, Any] = {"arm": f"arm {index}", "resolved": True, "planned": True}
    low, high = (None, None) if delta is None else (delta - half, delta + half)
    return Bar(**(known | {"index": index, "delta": delta, "low": low, "high": high} | others))


def curve(index: int, mean: Sequence[float], half: float = 0.01) -> Curve:
    low, high = [value - half for value in mean], [value + half for value in mean]
    return Curve(f"arm {index}", index, range(1, len(mean) + 1), mean, low, high)


def trace(index: int, value: Sequence[float]) -> Trace:
    return Trace(f"arm {index}", index, range(1, len(value) + 1), value)


def part(figure: Figure, gid: str, kind: type[Artist] = Line2D) -> list[Any]:
    return [artist for artist in figure.findobj(kind) if artist.get_gid() == gid]


def drawn(figure: Figure, gid: str) -> list[float]:
    """The heights of a line that is drawn once."""
    (line,) = part(figure, gid)
    return np.asarray(line.get_ydata(), dtype=float).tolist()


def said(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def axis_of(figure: Figure) -> Axes:
    return figure.axes[0]


ALL: dict[str, Callable[[Sequence[str]], Figure]] = {
    "forest": lambda names: comparisons.forest(
        [bar(i, 0.01 * i, arm=name, note=name) for i, name in enumerate(names)], baseline="".join(names[:1])
    ),
    "curves": lambda names: comparisons.curves(
        [Curve(name, i, [1, 2], [0.5, 0.4], [0.4, 0.3], [0.6, 0.5]) for i, name in enumerate(names)]
    ),
    "complexity": lambda names: comparisons.complexity(
        [Place(name, i, 1e6 + i, 0.1, 0.01, i == 0) for i, name in enumerate(names)]
    ),
    "propagation": lambda names: comparisons.propagation(
        {name: [Trace(name, i, [1, 2], [1.0, 0.5])] for i, name in enumerate(names)}
    ),
    "distributions": lambda names: comparisons.distributions(
        [Distribution(name, i, [0.1, 0.2]) for i, name in enumerate(names)]
    ),
}
EMPTY: dict[str, Figure] = {
    "forest": comparisons.forest([], baseline="identity"),
    "curves": comparisons.curves([]),
    "curves without epochs": comparisons.curves([curve(0, [])]),
    "complexity": comparisons.complexity([]),
    "complexity without numbers": comparisons.complexity([Place("a", 0, 1e6, math.nan, None, False)]),
    "propagation": comparisons.propagation({}),
    "propagation of nothing": comparisons.propagation({"gradient norm": [], "dead ReLUs, %": [trace(0, [])]}),
    "distributions": comparisons.distributions([]),
    "distributions without numbers": comparisons.distributions([Distribution("a", 0, [math.nan])]),
}


@pytest.mark.parametrize("name", EMPTY)
def test_without_data_a_figure_is_a_sentence(name: str, tmp_path: Path) -> None:
    figures.save(EMPTY[name], tmp_path, "figure", ("svg",))
    assert any(len(text.split()) > 1 and not figure_heading(text) for text in said(EMPTY[name]))


def figure_heading(text: str) -> bool:
    return text in {"gradient norm", "dead ReLUs, %", "error, %", "share of networks", "validation error, %"}


@pytest.mark.parametrize("name", ALL)
def test_a_name_is_any_text_and_is_drawn_as_it_is(name: str, tmp_path: Path) -> None:
    figure = ALL[name](HOSTILE)
    (file,) = figures.save(figure, tmp_path, "figure", ("svg",))
    ET.parse(file)
    for text in ("$x$", r"$\frac{", "<script>alert(1)</script>", "шорткат"):
        assert any(text in found for found in said(figure))
    assert not any(text.get_parse_math() for text in figure.findobj(Text) if "$" in text.get_text())


@pytest.mark.parametrize("name", ALL)
def test_the_same_arms_are_the_same_file(name: str, tmp_path: Path) -> None:
    one, other = (
        [path.read_bytes() for path in figures.save(ALL[name](["a", "b"]), tmp_path, "figure", ("svg", "png"))]
        for _ in range(2)
    )
    assert one == other


@pytest.mark.parametrize("name", ALL)
def test_whatever_belongs_to_an_arm_says_so_in_its_colour(name: str) -> None:
    figure = ALL[name]([f"arm {i}" for i in range(9)])
    for index in range(9):
        mine = [line for line in figure.findobj(Line2D) if (line.get_gid() or "").startswith(f"arm-{index}-")]
        assert mine
        assert {to_hex(line.get_color()).upper() for line in mine} == {themed.colour(index).upper()}


def test_figures_of_arms_need_no_pyplot() -> None:
    code = "import sys, reports.comparisons, reports.themed; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_two_of_twenty_eight_arms_have_the_same_line_and_no_two_of_fifty_six_the_same_marker() -> None:
    assert len({(themed.colour(i), str(themed.dashes(i))) for i in range(28)}) == 28
    assert len({(themed.colour(i), themed.look(i)["marker"]) for i in range(56)}) == 56


# Differences


def test_a_difference_is_drawn_in_percentage_points_with_its_interval() -> None:
    figure = comparisons.forest([bar(1, 0.0125, half=0.005)], baseline="identity")
    (point,), (interval,) = part(figure, "arm-1-point"), part(figure, "arm-1-interval")
    assert point.get_xdata()[0] == pytest.approx(1.25)
    assert list(interval.get_xdata()) == pytest.approx([0.75, 1.75])
    assert "+1.25  [+0.75, +1.75]" in said(figure)
    assert any("minus that of identity" in text for text in said(figure))


def test_a_resolved_difference_is_filled_and_an_unresolved_one_hollow() -> None:
    figure = comparisons.forest([bar(1, 0.1), bar(2, 0.001, resolved=False)], baseline="identity")
    filled, hollow = (part(figure, f"arm-{index}-point")[0] for index in (1, 2))
    assert to_hex(filled.get_markerfacecolor()).upper() == themed.colour(1)
    assert to_hex(hollow.get_markerfacecolor()) == "#ffffff"
    assert {"resolved", "not resolved"} <= set(said(figure))


def test_a_comparison_that_was_not_planned_is_dotted() -> None:
    figure = comparisons.forest([bar(1, 0.1), bar(2, 0.1, planned=False)], baseline="identity")
    planned, other = (part(figure, f"arm-{index}-interval")[0].get_linestyle() for index in (1, 2))
    assert planned == "-"
    assert other != "-"
    assert "not planned" in said(figure)


@pytest.mark.parametrize("delta", [None, math.nan, math.inf])
def test_an_arm_without_a_number_has_a_row_that_says_why(delta: float | None) -> None:
    bars = [bar(1, 0.1), Bar("gone", 2, delta, None, None, False, True, "2 of 3 diverged")]
    figure = comparisons.forest(bars, baseline="identity")
    assert "2 of 3 diverged" in said(figure)
    assert [label.get_text() for label in axis_of(figure).get_yticklabels()] == ["arm 1", "gone"]
    assert not part(figure, "arm-2-point")


def test_a_difference_of_one_seed_has_no_interval() -> None:
    figure = comparisons.forest([bar(1, 0.1, low=None, high=None)], baseline="identity")
    assert part(figure, "arm-1-point")
    assert not part(figure, "arm-1-interval")
    assert "+10.00" in said(figure)


def test_an_interval_without_an_end_has_an_arrow_at_the_edge() -> None:
    figure = comparisons.forest([bar(1, 0.1, low=-math.inf), bar(2, 0.1)], baseline="identity")
    (arrow,) = part(figure, "arm-1-endless")
    assert arrow.get_xdata()[0] == axis_of(figure).get_xlim()[0]
    assert not part(figure, "arm-2-endless")


def test_one_very_wide_arm_leaves_room_for_the_others() -> None:
    bars = [bar(i, delta) for i, delta in enumerate([0.003, -0.002, 0.001, 0.0])] + [bar(4, 0.6, half=0.2)]
    figure = comparisons.forest(bars, baseline="identity", margin=0.002)
    axes = axis_of(figure)
    box = axes.get_window_extent()
    half, zero, far = axes.transData.transform([(0.5, 0), (0, 0), (80, 0)])[:, 0]
    assert half - zero > 0.15 * box.width
    assert far < box.x1
    assert "logarithmic beyond ±0.5" in axes.get_xlabel()
    assert {"−0.5", "0", "+0.5", "+5", "+50"} <= {label.get_text() for label in axes.get_xticklabels()}


def test_arms_of_one_size_are_on_a_straight_axis() -> None:
    axes = axis_of(comparisons.forest([bar(1, 0.01), bar(2, -0.02)], baseline="identity"))
    assert axes.get_xscale() == "linear"
    assert "logarithmic" not in axes.get_xlabel()


@FEW
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5), st.none() | st.floats(0, 1))
def test_no_difference_breaks_a_forest(found: list[tuple[float, float, float]], margin: float | None) -> None:
    bars = [Bar(f"arm {i}", i, *ends, resolved=False, planned=True) for i, ends in enumerate(found)]
    figure = comparisons.forest(bars, baseline="identity", margin=margin)
    left, right = axis_of(figure).get_xlim()
    for index, (delta, _, _) in enumerate(found):
        for point in part(figure, f"arm-{index}-point"):
            assert left <= point.get_xdata()[0] <= right
        assert bool(part(figure, f"arm-{index}-point")) == (abs(delta) <= 1e6)


# Lines


def test_a_curve_is_drawn_in_percent_with_its_band() -> None:
    figure = comparisons.curves([curve(3, [0.5, 0.4])])
    assert drawn(figure, "arm-3-line") == pytest.approx([50, 40])
    assert [artist.get_gid() for artist in axis_of(figure).collections] == ["arm-3-band"]
    assert axis_of(figure).collections[0].get_datalim(axis_of(figure).transData).y0 == pytest.approx(39)


def test_a_measure_that_is_no_percentage_is_drawn_as_it_is() -> None:
    assert drawn(comparisons.curves([curve(0, [2.5, 2.0])], measure="training loss"), "arm-0-line") == [2.5, 2.0]


@pytest.mark.parametrize(("last", "scale"), [(0.04, "log"), (0.06, "linear")])
def test_errors_over_more_than_a_decade_are_on_a_logarithm(last: float, scale: str) -> None:
    assert axis_of(comparisons.curves([curve(0, [0.5, last])])).get_yscale() == scale


def test_a_band_down_to_zero_does_not_stretch_the_axis() -> None:
    axes = axis_of(comparisons.curves([Curve("a", 0, [1, 2], [0.9, 0.01], [0.8, 1e-9], [1.0, 0.02])]))
    assert 0.2 < axes.get_ylim()[0] < 1


@pytest.mark.parametrize(("value", "mark"), [(0.0, "v"), (math.nan, "x"), (math.inf, "^")])
def test_what_a_logarithm_cannot_show_is_a_gap_and_a_mark(value: float, mark: str) -> None:
    figure = comparisons.propagation({"gradient norm": [trace(0, [1.0, value, 1e-4])]})
    assert np.isnan(drawn(figure, "arm-0-line")).tolist() == [False, True, False]
    (gap,) = part(figure, "arm-0-gap")
    assert (list(gap.get_xdata()), gap.get_marker()) == ([2], mark)
    assert {"v": "zero", "x": "no number", "^": "infinite"}[mark] in said(figure)


def test_zero_on_a_straight_axis_is_a_point_like_any_other() -> None:
    figure = comparisons.propagation({"dead ReLUs, %": [trace(0, [0.0, 0.25])]})
    assert drawn(figure, "arm-0-line") == [0, 25]
    assert not part(figure, "arm-0-gap")


def test_a_measure_with_negative_values_is_on_a_straight_axis() -> None:
    figure = comparisons.propagation({"gain": [trace(0, [-1.0, 100.0, 0.1])]})
    assert axis_of(figure).get_yscale() == "linear"
    assert drawn(figure, "arm-0-line") == [-1.0, 100.0, 0.1]


def test_a_value_without_neighbours_is_seen() -> None:
    (line,) = part(comparisons.propagation({"variance": [trace(0, [1.0, math.nan, 2.0, 3.0])]}), "arm-0-line")
    assert line.get_markevery() == [0]


def test_each_measure_has_a_panel_below_its_heading() -> None:
    headings = ["gradient norm", "variance", "dead ReLUs, %"]
    figure = comparisons.propagation({heading: [trace(0, [1.0, 2.0])] for heading in headings})
    assert [axes.get_title(loc="left") for axes in figure.axes] == headings


def test_an_arm_is_in_the_legend_once_however_many_panels_it_has() -> None:
    figure = comparisons.propagation({"a": [trace(0, [1.0]), trace(1, [1.0])], "b": [trace(0, [2.0])]})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["arm 0", "arm 1"]


@FEW
@given(st.lists(st.lists(NUMBERS, max_size=6), max_size=4), st.sampled_from(["variance", "dead ReLUs, %"]))
def test_no_value_breaks_a_panel(values: list[list[float]], heading: str) -> None:
    traces = [trace(index, value) for index, value in enumerate(values)]
    figure = comparisons.propagation({heading: traces})
    for index, value in enumerate(values):
        seen = sum(np.isfinite(drawn(figure, f"arm-{index}-line"))) if value else 0
        gaps = sum(len(gap.get_xdata()) for gap in part(figure, f"arm-{index}-gap"))
        assert seen + gaps == len(value)


@pytest.mark.parametrize(
    "wrong", [lambda: Curve("a", 0, [1, 2], [0.1], [0.1], [0.1]), lambda: Trace("a", 0, [1], [0.1, 0.2])]
)
def test_as_many_values_as_places_are_asked_for(wrong: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=r"^a: must have equally many values each, not"):
        wrong()


# Costs


def test_every_arm_is_a_point_with_its_number_in_the_table() -> None:
    figure = comparisons.complexity([Place("a", 0, 2e6, 0.02, 0.001, True), Place("b", 4, 3e6, 0.05, None, False)])
    for index, at in ((0, (2e6, 2.0)), (4, (3e6, 5.0))):
        (point,) = part(figure, f"arm-{index}-point")
        assert tuple(point.get_xydata()[0]) == pytest.approx(at)
        assert [text.get_text() for text in part(figure, f"arm-{index}-number", Text)] == [str(index + 1)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1  a", "5  b"]


@pytest.mark.parametrize("spread", [0.0, 0.002, 0.2])
def test_no_two_numbers_stand_on_each_other(spread: float) -> None:
    generator = np.random.default_rng(0)
    places = [
        Place(f"arm {i}", i, 1e6 + (i % 3) * 1e5, 0.1 + spread * float(generator.random()), None, False)
        for i in range(14)
    ]
    figure = comparisons.complexity(places)
    figure.draw_without_rendering()
    texts = [text for index in range(14) for text in part(figure, f"arm-{index}-number", Text)]
    boxes = [Text.get_window_extent(text) for text in texts]
    assert len(boxes) == 14
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_the_staircase_goes_through_the_front_alone() -> None:
    places = [
        Place("a", 0, 1e6, 0.05, None, True),
        Place("b", 1, 2e6, 0.03, None, True),
        Place("c", 2, 3e6, 0.04, 0, False),
    ]
    (stairs,) = [line for line in axis_of(comparisons.complexity(places)).lines if line.get_label() == "_front"]
    corners = [tuple(corner) for corner in stairs.get_xydata().tolist()[1:-1]]
    assert np.array(corners) == pytest.approx(np.array(figures.staircase([(1e6, 5.0), (2e6, 3.0)])))


# Design spaces


def test_a_distribution_is_the_share_of_networks_up_to_an_error() -> None:
    figure = comparisons.distributions([Distribution("a", 0, [0.3, 0.1, 0.1, 0.2])])
    (line,) = part(figure, "arm-0-line")
    assert list(line.get_xdata())[1:-1] == pytest.approx([10, 10, 20, 30])
    assert list(line.get_ydata()) == [0, 0.25, 0.5, 0.75, 1, 1]
    assert line.get_drawstyle() == "steps-post"


def test_a_band_is_that_of_dvoretzky_kiefer_and_wolfowitz() -> None:
    errors = np.linspace(0.1, 0.2, 1000).tolist()
    figure = comparisons.distributions([Distribution("a", 0, errors)])
    (band,) = axis_of(figure).collections
    middle = [y for x, y in band.get_paths()[0].vertices if x == pytest.approx(100 * errors[499])]
    # sqrt(ln 40 / 2000) = 0.0429
    assert (min(middle), max(middle)) == pytest.approx((0.499 - 0.0429, 0.5 + 0.0429), abs=2e-3)
    assert not axis_of(comparisons.distributions([Distribution("a", 0, errors)], bands=False)).collections


def test_a_network_that_never_trained_counts() -> None:
    figure = comparisons.distributions([Distribution("a", 0, [0.1, 0.2, math.nan, math.inf])])
    assert max(drawn(figure, "arm-0-line")) == 0.5
    assert "a (n = 4)" in said(figure)
