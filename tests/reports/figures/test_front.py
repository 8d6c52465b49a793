"""A figure of a front shows all networks, in readable units, and labels the knee."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from drawings import axis_of, error_bars, labelled, points
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from reports.figures.front import Mark, front, staircase
from reports.figures.saving import save
from reports.page import DOUBLE, SINGLE
from search.fronts.objectives import OBJECTIVES

CLOUD = [
    Mark("a", 1e7, 0.09, 0.004, confirmed=True, on_front=True, label="small"),
    Mark("b", 4e7, 0.07, 0.002, confirmed=True, on_front=True),
    Mark("c", 2e8, 0.06, None, on_front=True),
    Mark("d", 5e7, 0.11),
    Mark("e", 1e8, 0.08, 0.003, confirmed=True),
]


def saved(figure: Figure, folder: Path, formats: Iterable[str] = ("svg",)) -> list[bytes]:
    return [path.read_bytes() for path in save(figure, folder, "figure", tuple(formats))]


def test_every_mark_is_drawn_once_with_its_error_in_percent() -> None:
    axes = axis_of(front(CLOUD, x="macs", y="error", knee="c"))
    assert np.array(sorted(points(axes))) == pytest.approx(np.array(sorted((m.x, 100 * m.y) for m in CLOUD)))


def test_marks_of_one_key_are_all_drawn() -> None:
    twins = [Mark("same", 1e6, 0.1, on_front=True), Mark("same", 2e6, 0.2)]
    assert len(points(axis_of(front(twins, x="params", y="error")))) == 2


def test_error_bars_are_one_standard_deviation_and_left_out_for_one_seed() -> None:
    axes = axis_of(front(CLOUD, x="macs", y="error"))
    spans = {}
    for bar in error_bars(axes):
        for (x, low), (_, high) in filter(len, bar.lines[2][0].get_segments()):
            spans[x] = (low, high)
    assert set(spans) == {mark.x for mark in CLOUD if mark.y_std is not None}
    for mark in CLOUD:
        if mark.y_std is not None:
            assert spans[mark.x] == pytest.approx((100 * (mark.y - mark.y_std), 100 * (mark.y + mark.y_std)))
    assert "± std" in axes.get_ylabel()


def test_confirmed_marks_are_filled_and_provisional_ones_hollow() -> None:
    for bar in error_bars(axis_of(front(CLOUD, x="macs", y="error"))):
        hollow = bar.lines[0].get_markerfacecolor() == "white"
        assert hollow == (bar.get_label() in ("dominated", "front, provisional"))


def test_the_front_and_the_cloud_differ_in_colour() -> None:
    drawn = {
        bar.get_label(): bar.lines[0].get_color() for bar in error_bars(axis_of(front(CLOUD, x="macs", y="error")))
    }
    assert drawn["front, confirmed"] == drawn["front, provisional"]
    assert drawn["dominated"] == drawn["dominated, confirmed"]
    assert drawn["front, confirmed"] != drawn["dominated"]


def test_the_step_line_goes_through_the_front_and_stays_within_the_axes() -> None:
    axes = axis_of(front(CLOUD, x="macs", y="error"))
    stairs = labelled(axes, "_staircase")
    for mark in CLOUD:
        near = any(corner == pytest.approx((mark.x, 100 * mark.y)) for corner in stairs)
        assert near == mark.on_front
    assert stairs[0][1] == axes.get_ylim()[1]
    assert stairs[-1][0] == axes.get_xlim()[1]


coordinates = st.floats(0.001, 1e3)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1))
def test_the_staircase_is_the_boundary_of_the_dominated_region(cloud: list[tuple[float, float]]) -> None:
    corners = staircase(cloud)
    undominated = {p for p in cloud if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in cloud)}
    assert set(corners[::2]) == undominated
    for (x, y), (next_x, next_y) in pairwise(corners):
        assert (x == next_x and next_y < y) or (y == next_y and x < next_x)


def test_costs_over_more_than_a_decade_have_a_logarithmic_axis() -> None:
    def scale(*costs: float) -> str:
        marks = [Mark(str(cost), cost, 0.1) for cost in costs]
        return axis_of(front(marks, x="params", y="error")).get_xscale()

    assert scale(1e6, 2e7) == "log"
    assert scale(1e6, 9e6) == "linear"
    assert scale(0, 9e6) == "linear"


def test_one_network_with_a_very_high_error_leaves_room_for_the_others() -> None:
    marks = [*CLOUD, Mark("failed", 3e7, 0.9)]
    axes = axis_of(front(marks, x="macs", y="error"))
    assert axes.get_yscale() == "log"
    assert len(points(axes)) == len(marks)


@pytest.mark.parametrize("x", OBJECTIVES)
def test_axes_have_the_headings_of_the_objectives(x: str) -> None:
    axes = axis_of(front([Mark("a", 0.5, 0.1)], x=x, y="error"))
    assert (axes.get_xlabel(), axes.get_ylabel()) == (OBJECTIVES[x].heading, "validation error, %")


def test_ticks_are_numbers_with_unit_prefixes() -> None:
    figure = front([Mark("a", 4e7, 0.07), Mark("b", 6e7, 0.08)], x="macs", y="error")
    assert {"40M", "50M", "60M"} <= {label.get_text() for label in axis_of(figure).get_xticklabels()}


def test_a_figure_has_no_title_by_default() -> None:
    assert front(CLOUD, x="macs", y="error").get_suptitle() == ""
    assert front(CLOUD, x="macs", y="error", title="Which?").get_suptitle() == "Which?"


def test_a_figure_fits_a_column() -> None:
    assert front(CLOUD, x="macs", y="error").get_size_inches()[0] == DOUBLE
    assert tuple(front(CLOUD, x="macs", y="error", width=SINGLE).get_size_inches()) == (SINGLE, 2.6)


@pytest.mark.parametrize("knee", [mark.key for mark in CLOUD if mark.on_front])
def test_the_knee_has_a_label_inside_the_axes(knee: str) -> None:
    axes = axis_of(front(CLOUD, x="macs", y="error", knee=knee))
    [name] = [text for text in axes.texts if text.get_text().startswith("knee: ")]
    mark = next(mark for mark in CLOUD if mark.key == knee)
    assert name.get_text() == f"knee: {mark.label or mark.key}"
    assert labelled(axes, "_knee") == [pytest.approx((mark.x, 100 * mark.y))]
    room, box = axes.get_window_extent(), name.get_window_extent()
    assert room.x0 <= box.x0 < box.x1 <= room.x1
    assert room.y0 <= box.y0 < box.y1 <= room.y1


@pytest.mark.parametrize(
    ("reference", "area"),
    [((1e8, 0.10), 3e7 * 1 + 6e7 * 3), ((4e7, 0.10), 3e7 * 1), ((5e6, 0.10), 0), ((1e8, 0.05), 0)],
)
def test_the_shaded_area_is_the_hypervolume(reference: tuple[float, float], area: float) -> None:
    axes = axis_of(front(CLOUD, x="macs", y="error", reference=reference))
    shades = [shade for shade in axes.collections if shade.get_label() == "_hypervolume"]
    x, y = shades[0].get_paths()[0].vertices.T if shades else (np.zeros(1), np.zeros(1))
    assert abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2 == pytest.approx(area)
    assert labelled(axes, "_reference") == [pytest.approx((reference[0], 100 * reference[1]))]


@pytest.mark.parametrize(
    "marks",
    [
        [Mark("a", 4e7, 0.07)],
        [Mark("a", 4e7, 0.07, on_front=True)],
        [Mark("a", 0, 0, 0.0, on_front=True)],
        [Mark(key, 4e7, 0.07, on_front=True) for key in "abc"],
        [Mark(str(i), 4e7, 0.07 + i, on_front=i == 0) for i in range(3)],
        [Mark("a", 1e3, 0.5, on_front=True), Mark("b", 1e12, 1e-6, 0.1, on_front=True)],
    ],
)
def test_few_or_equal_marks_are_all_drawn(marks: list[Mark], tmp_path: Path) -> None:
    figure = front(marks, x="macs", y="error", knee=marks[0].key)
    assert saved(figure, tmp_path, ("svg", "png"))
    assert len(points(axis_of(figure))) == len(marks)


def test_networks_that_were_stopped_early_are_crosses_at_their_last_error() -> None:
    figure = front(CLOUD, x="macs", y="error", pruned=[(3e7, 0.4), (9e7, 0.3)])
    (crosses,) = [line for line in axis_of(figure).lines if line.get_label() == "pruned"]
    assert crosses.get_xydata().tolist() == [[3e7, 40.0], [9e7, 30.0]]
    assert axis_of(figure).get_ylim()[1] > 40
    alone = front([], x="macs", y="error", pruned=[(3e7, 0.4)])
    assert [line for line in axis_of(alone).lines if line.get_label() == "pruned"]
