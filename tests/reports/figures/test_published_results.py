"""Published results in a figure of a front: those in range are drawn, the others are counted in the caption."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.text import Text

from ablations.published import catalogue
from reports.figures import published_results
from reports.figures.complexity import Place, complexity
from reports.figures.front import Mark, front, staircase
from reports.figures.published_results import FARTHEST, Known
from reports.published import LABEL

CIFAR = catalogue("cifar10")

MARKS = [Mark("a", 4e7, 0.09, on_front=True), Mark("b", 2e8, 0.06, on_front=True), Mark("c", 3e8, 0.10)]


def stars(axes: Axes) -> list[tuple[float, float]]:
    return [tuple(at) for line in axes.lines if line.get_gid() == "published" for at in line.get_xydata().tolist()]


positive = st.floats(1e-3, 1e12)

place = st.tuples(positive, positive)


@given(st.lists(place, min_size=1), st.lists(place))
def test_drawn_results_are_within_a_decade_of_the_measured_ones(
    measured: list[tuple[float, float]], others: list[tuple[float, float]]
) -> None:
    near = published_results.near([Known("", *at) for at in [*measured, *others]], measured)
    assert {(each.x, each.y) for each in near} >= set(measured)
    for axis in (0, 1):
        values = [at[axis] for at in measured]
        for each in near:
            value = (each.x, each.y)[axis]
            assert min(values) / FARTHEST <= value <= max(values) * FARTHEST


def test_an_error_of_zero_extends_the_range_to_twice_the_greatest_error() -> None:
    known = [Known("near", 1e6, 0.03), Known("far", 1e6, 0.05)]
    assert published_results.near(known, [(1e6, 0.0), (2e6, 0.02)]) == known[:1]


def test_stars_are_at_the_published_error_and_cost_in_the_background() -> None:
    figure = front(MARKS, x="macs", y="error", published=[Known("known", 1e8, 0.07)])
    axes = figure.axes[0]
    assert stars(axes) == [pytest.approx((1e8, 7.0))]
    assert "known" in [text.get_text() for text in axes.texts]
    assert LABEL in [text.get_text() for text in figure.legends[0].get_texts()]
    [line] = [line for line in axes.lines if line.get_gid() == "published"]
    assert line.get_zorder() < min(container.lines[0].get_zorder() for container in axes.containers)


def test_published_results_do_not_change_the_step_line_of_the_arms() -> None:
    places = [Place("a", 0, 4e7, 0.09, None, True), Place("b", 1, 2e8, 0.06, None, True)]
    figure = complexity(places, published=[Known("known", 1e8, 0.01), Known("far", 1e12, 0.01)])
    axes = figure.axes[0]
    assert stars(axes) == [pytest.approx((1e8, 1.0))]
    [stairs] = [line for line in axes.lines if line.get_label() == "_front"]
    assert [tuple(at) for at in stairs.get_xydata().tolist()][1:-1] == staircase([(4e7, 9.0), (2e8, 6.0)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1  a", "2  b", LABEL]


def test_published_results_out_of_range_do_not_change_the_figure() -> None:
    far = front(MARKS, x="macs", y="error", published=[Known("far", 1e12, 0.07)])
    none = front(MARKS, x="macs", y="error")
    assert stars(far.axes[0]) == []
    assert far.axes[0].get_xlim() == none.axes[0].get_xlim()
    assert LABEL not in [text.get_text() for text in far.legends[0].get_texts()]


def test_names_do_not_overlap_names_or_points() -> None:
    figure = front(MARKS, x="macs", y="error", published=published_results.known(CIFAR, "macs"))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) > 5
    assert not any(one.padded(-2).overlaps(other.padded(-2)) for one, other in combinations(boxes, 2))
    dots = axes.transData.transform(stars(axes))
    assert not any(box.padded(-2).count_contains(dots) for box in boxes)


def test_repeated_results_are_drawn_once_and_only_for_published_costs() -> None:
    known = published_results.known(CIFAR, "macs")
    assert len({(each.x, each.y, each.name.split()[0]) for each in known}) == len(known)
    assert published_results.known(CIFAR, "latency_ms") == []


def test_a_caption_reports_which_results_are_drawn_and_how_many_are_outside() -> None:
    text = published_results.sentence(CIFAR, "macs", [(4e7, 0.09), (2e8, 0.06)], "cifar10")
    assert LABEL in text
    assert "are outside the figure, at" in text
    nowhere = published_results.sentence(CIFAR, "macs", [(1e3, 0.09)], "digits")
    assert f"results on cifar10 (this run is on digits), {LABEL}, are outside the figure" in nowhere
    assert "Hollow stars" not in nowhere
    assert published_results.sentence([], "macs", [(1e3, 0.09)], "digits") == ""
