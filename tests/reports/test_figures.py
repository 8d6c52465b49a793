"""Figures show all of the data, in people's units, and nothing in a name can break them."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports import figures
from reports.figures import Mark, staircase
from reports.style import plain
from resnet_space.errors import InputError
from search.fronts.objectives import OBJECTIVES

CLOUD = [
    Mark("a", 1e7, 0.09, 0.004, confirmed=True, on_front=True, label="small"),
    Mark("b", 4e7, 0.07, 0.002, confirmed=True, on_front=True),
    Mark("c", 2e8, 0.06, None, on_front=True),
    Mark("d", 5e7, 0.11),
    Mark("e", 1e8, 0.08, 0.003, confirmed=True),
]
HOSTILE = [r"$\frac{", r"$\frac{$", "$x$", "<script>alert(1)</script>", "]]> --> &amp;", "漢字 \x00\x1b", "a\nb" * 40]


def of(figure: Figure) -> Axes:
    return figure.axes[0]


def bars(axes: Axes) -> list[ErrorbarContainer]:
    return [container for container in axes.containers if isinstance(container, ErrorbarContainer)]


def points(axes: Axes) -> list[tuple[float, float]]:
    """All marks that stand in the axes, whatever their kind."""
    return [tuple(point) for bar in bars(axes) for point in bar.lines[0].get_xydata().tolist()]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def line(axes: Axes, label: str) -> list[tuple[float, float]]:
    return [tuple(point) for found in axes.lines if found.get_label() == label for point in found.get_xydata().tolist()]


def saved(figure: Figure, folder: Path, formats: Iterable[str] = ("svg",)) -> list[bytes]:
    return [path.read_bytes() for path in figures.save(figure, folder, "figure", tuple(formats))]


def explained(**importances: float) -> pd.DataFrame:
    rows = [
        {"axis": axis, "objective": "error", "importance": value, "std": 0.1 * value, "r2": 0.8, "reason": ""}
        for axis, value in importances.items()
    ]
    return pd.DataFrame(rows, columns=["axis", "objective", "importance", "std", "r2", "reason"])


def all_figures() -> list[Figure]:
    return [
        figures.front(CLOUD, x="macs", y="error", knee="b", reference=(3e8, 0.2), title="A title"),
        figures.hypervolume([1, 2, 2, 5], random=[[1, 1, 2, 3], [0, 1, 1, 2]], ended={"pruned": [2]}),
        figures.importance(explained(width=0.7, depth=0.3)),
    ]


def test_the_same_data_is_the_same_file(tmp_path: Path) -> None:
    formats = list(figures.FORMATS)
    for one, other in zip(all_figures(), all_figures(), strict=True):
        first = saved(one, tmp_path, formats)
        assert saved(other, tmp_path, formats) == first
        assert saved(one, tmp_path) == first[:1]


def test_a_figure_leaves_matplotlib_as_it_was_and_takes_nothing_from_it(tmp_path: Path) -> None:
    expected = [saved(figure, tmp_path) for figure in all_figures()]
    with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "svg.fonttype": "none", "svg.hashsalt": "other"}):
        before = dict(matplotlib.rcParams)
        assert [saved(figure, tmp_path) for figure in all_figures()] == expected
        assert dict(matplotlib.rcParams) == before


def test_figures_need_no_pyplot() -> None:
    code = "import sys, reports.figures; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_svg_names_no_date_and_no_font(tmp_path: Path) -> None:
    svg = saved(all_figures()[0], tmp_path)[0].decode()
    assert "date>" not in svg
    assert "<text" not in svg
    assert "font-family" not in svg


def test_every_mark_is_drawn_once_in_percent() -> None:
    axes = of(figures.front(CLOUD, x="macs", y="error", knee="c"))
    assert np.array(sorted(points(axes))) == pytest.approx(np.array(sorted((m.x, 100 * m.y) for m in CLOUD)))


def test_marks_of_one_key_are_all_drawn() -> None:
    twins = [Mark("same", 1e6, 0.1, on_front=True), Mark("same", 2e6, 0.2)]
    assert len(points(of(figures.front(twins, x="params", y="error")))) == 2


def test_error_bars_are_one_standard_deviation_and_missing_for_one_seed() -> None:
    axes = of(figures.front(CLOUD, x="macs", y="error"))
    spans = {}
    for bar in bars(axes):
        for (x, low), (_, high) in filter(len, bar.lines[2][0].get_segments()):
            spans[x] = (low, high)
    assert set(spans) == {mark.x for mark in CLOUD if mark.y_std is not None}
    for mark in CLOUD:
        if mark.y_std is not None:
            assert spans[mark.x] == pytest.approx((100 * (mark.y - mark.y_std), 100 * (mark.y + mark.y_std)))
    assert "± std" in axes.get_ylabel()


def test_confirmed_marks_are_filled_and_provisional_ones_hollow() -> None:
    for bar in bars(of(figures.front(CLOUD, x="macs", y="error"))):
        hollow = bar.lines[0].get_markerfacecolor() == "white"
        assert hollow == (bar.get_label() in ("dominated", "front, provisional"))


def test_the_front_and_the_cloud_differ_in_colour() -> None:
    drawn = {bar.get_label(): bar.lines[0].get_color() for bar in bars(of(figures.front(CLOUD, x="macs", y="error")))}
    assert drawn["front, confirmed"] == drawn["front, provisional"]
    assert drawn["dominated"] == drawn["dominated, confirmed"]
    assert drawn["front, confirmed"] != drawn["dominated"]


def test_the_staircase_goes_through_the_front_and_stays_within_the_axes() -> None:
    axes = of(figures.front(CLOUD, x="macs", y="error"))
    stairs = line(axes, "_staircase")
    for mark in CLOUD:
        near = any(corner == pytest.approx((mark.x, 100 * mark.y)) for corner in stairs)
        assert near == mark.on_front
    assert stairs[0][1] == axes.get_ylim()[1]
    assert stairs[-1][0] == axes.get_xlim()[1]


coordinates = st.floats(0.001, 1e3)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1))
def test_the_staircase_is_the_edge_of_what_is_dominated(cloud: list[tuple[float, float]]) -> None:
    corners = staircase(cloud)
    undominated = {p for p in cloud if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in cloud)}
    assert set(corners[::2]) == undominated
    for (x, y), (next_x, next_y) in pairwise(corners):
        assert (x == next_x and next_y < y) or (y == next_y and x < next_x)


def test_costs_over_more_than_a_decade_are_on_a_logarithm() -> None:
    def scale(*costs: float) -> str:
        marks = [Mark(str(cost), cost, 0.1) for cost in costs]
        return of(figures.front(marks, x="params", y="error")).get_xscale()

    assert scale(1e6, 2e7) == "log"
    assert scale(1e6, 9e6) == "linear"
    assert scale(0, 9e6) == "linear"


def test_one_net_that_failed_leaves_room_for_the_others() -> None:
    marks = [*CLOUD, Mark("failed", 3e7, 0.9)]
    axes = of(figures.front(marks, x="macs", y="error"))
    assert axes.get_yscale() == "log"
    assert len(points(axes)) == len(marks)


@pytest.mark.parametrize("x", OBJECTIVES)
def test_axes_have_the_headings_of_the_objectives(x: str) -> None:
    axes = of(figures.front([Mark("a", 0.5, 0.1)], x=x, y="error"))
    assert (axes.get_xlabel(), axes.get_ylabel()) == (OBJECTIVES[x].heading, "validation error, %")


def test_ticks_are_numbers_as_people_write_them() -> None:
    figure = figures.front([Mark("a", 4e7, 0.07), Mark("b", 6e7, 0.08)], x="macs", y="error")
    assert {"40M", "50M", "60M"} <= {label.get_text() for label in of(figure).get_xticklabels()}


def test_a_figure_has_no_title_unless_it_is_given_one() -> None:
    assert figures.front(CLOUD, x="macs", y="error").get_suptitle() == ""
    assert figures.front(CLOUD, x="macs", y="error", title="Which?").get_suptitle() == "Which?"


def test_nothing_that_is_written_leaves_the_figure() -> None:
    wide = figures.hypervolume([1, 2], objectives=list(OBJECTIVES), ended={"diverged " * 9: [1]}, title="title " * 40)
    long = figures.importance(explained(**{"stages.0." * 20: 0.5, "width": 0.5}))
    for figure in (*all_figures(), wide, long):
        # Both in inches.
        (left, bottom), (right, top) = figure.get_tightbbox().get_points()
        width, height = figure.get_size_inches()
        assert -0.01 <= left < right <= width + 0.01
        assert -0.01 <= bottom < top <= height + 0.01


def test_a_figure_fits_a_column() -> None:
    assert tuple(figures.front(CLOUD, x="macs", y="error").get_size_inches()) == (3.4, 2.6)


@pytest.mark.parametrize("knee", [mark.key for mark in CLOUD if mark.on_front])
def test_the_knee_is_named_and_its_name_is_inside_the_axes(knee: str) -> None:
    axes = of(figures.front(CLOUD, x="macs", y="error", knee=knee))
    [name] = [text for text in axes.texts if text.get_text().startswith("knee: ")]
    mark = next(mark for mark in CLOUD if mark.key == knee)
    assert name.get_text() == f"knee: {mark.label or mark.key}"
    assert line(axes, "_knee") == [pytest.approx((mark.x, 100 * mark.y))]
    room, box = axes.get_window_extent(), name.get_window_extent()
    assert room.x0 <= box.x0 < box.x1 <= room.x1
    assert room.y0 <= box.y0 < box.y1 <= room.y1


@pytest.mark.parametrize(
    ("reference", "area"),
    [((1e8, 0.10), 3e7 * 1 + 6e7 * 3), ((4e7, 0.10), 3e7 * 1), ((5e6, 0.10), 0), ((1e8, 0.05), 0)],
)
def test_what_is_shaded_is_the_hypervolume(reference: tuple[float, float], area: float) -> None:
    axes = of(figures.front(CLOUD, x="macs", y="error", reference=reference))
    shades = [shade for shade in axes.collections if shade.get_label() == "_hypervolume"]
    x, y = shades[0].get_paths()[0].vertices.T if shades else (np.zeros(1), np.zeros(1))
    assert abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2 == pytest.approx(area)
    assert line(axes, "_reference") == [pytest.approx((reference[0], 100 * reference[1]))]


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
def test_few_and_equal_marks_are_drawn_too(marks: list[Mark], tmp_path: Path) -> None:
    figure = figures.front(marks, x="macs", y="error", knee=marks[0].key)
    assert saved(figure, tmp_path, ("svg", "png"))
    assert len(points(of(figure))) == len(marks)


def test_no_data_is_an_empty_frame_with_a_sentence(tmp_path: Path) -> None:
    empty = [figures.front([], x="macs", y="error"), figures.hypervolume([]), figures.importance(explained())]
    for figure in empty:
        assert saved(figure, tmp_path)
        assert any(text.startswith("no ") for text in texts(figure))
    assert of(empty[0]).get_xlabel() == "MACs"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_is_mathematics_or_markup(text: str, tmp_path: Path) -> None:
    marks = [Mark(text, 1e7, 0.1, on_front=True), Mark("other", 2e7, 0.05)]
    table = explained(**{text: 1.0}).assign(objective=text)
    unknown = table.assign(importance=np.nan, reason=text)
    for figure in (
        figures.front(marks, x="macs", y="error", knee=text, title=text),
        figures.hypervolume([1, 2], ended={text: [1]}, title=text),
        figures.importance(table, title=text),
        figures.importance(unknown),
    ):
        root = ET.fromstring(saved(figure, tmp_path)[0])
        assert not [node for node in root.iter() if node.tag.endswith("script")]
        assert any(plain(text) in found for found in texts(figure))


@given(st.text())
def test_a_label_is_one_line_of_what_the_font_has(text: str) -> None:
    label = plain(text)
    assert len(label) <= 36
    assert label.isprintable()
    assert plain(label) == label


def test_a_long_label_keeps_both_ends() -> None:
    label = plain("stages.0." + "x" * 60 + ".gate_bias")
    assert label.startswith("stages.0.")
    assert label.endswith(".gate_bias")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mark("a", float("nan"), 0.1), "mark a: x must be a finite number"),
        (lambda: Mark("a", 1, 0.1, float("nan")), "mark a: y_std must be a finite number"),
        (lambda: Mark("a", 1, 0.1, -0.1), "mark a: y_std must be at least 0"),
        (lambda: figures.front(CLOUD, x="mac", y="error"), "x: unknown objective 'mac'; did you mean 'macs'?"),
        (lambda: figures.front(CLOUD, x="macs", y="error", knee="z"), "knee: unknown mark 'z'; allowed: a, b"),
        (lambda: figures.front(CLOUD, x="macs", y="error", reference=(1, float("inf"))), "reference: must be finite"),
        (lambda: figures.hypervolume([1, float("nan")]), "trace: must be finite"),
        (lambda: figures.hypervolume([1], objectives=["errors"]), "objectives: unknown objective 'errors'"),
    ],
)
def test_wrong_data_is_refused_in_words(make: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()  # type: ignore[operator]
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("stem", "formats", "message"),
    [("a", ["svgz"], "formats: unknown format 'svgz'; did you mean 'svg'?"), ("../a", ["svg"], "stem: '../a' is not")],
)
def test_a_figure_is_saved_under_its_name_in_known_formats(
    stem: str, formats: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        figures.save(Figure(), tmp_path / "in", stem, formats)
    assert str(caught.value).startswith(message)
    assert not list(tmp_path.rglob("*"))


def test_a_saved_figure_is_alone_in_its_folder(tmp_path: Path) -> None:
    paths = figures.save(all_figures()[0], tmp_path / "new", "front")
    assert sorted((tmp_path / "new").iterdir()) == sorted(paths)
    assert [path.name for path in paths] == ["front.svg", "front.png"]


def test_the_hypervolume_holds_from_one_trial_to_the_next() -> None:
    trace = [0.0, 1.5, 1.5, 4.0]
    [steps] = [found for found in of(figures.hypervolume(trace)).lines if found.get_label() == "this search"]
    assert steps.get_drawstyle() == "steps-post"
    assert steps.get_xydata().tolist() == [[1, 0], [2, 1.5], [3, 1.5], [4, 4]]


def test_random_search_is_its_mean_within_its_runs() -> None:
    axes = of(figures.hypervolume([1, 2], random=[[0, 1], [1, 3]]))
    assert line(axes, "random search, mean of 2") == [(1, 0.5), (2, 2)]
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0, 3)


def test_trials_that_ended_early_are_ticks_by_status() -> None:
    axes = of(figures.hypervolume([1, 2, 3], ended={"pruned": [2], "diverged": [1, 3]}))
    assert [x for x, _ in line(axes, "pruned")] == [2]
    assert [x for x, _ in line(axes, "diverged")] == [1, 3]


def test_a_hypervolume_says_what_it_is_a_product_of() -> None:
    label = of(figures.hypervolume([1, 2], objectives=["error", "macs"])).get_ylabel()
    assert " ".join(label.split()) == "hypervolume, validation error × MACs"


def test_importances_are_bars_with_the_greatest_on_top() -> None:
    axes = of(figures.importance(explained(width=0.2, depth=0.7, order=0.1)))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["order", "width", "depth"]
    assert [patch.get_width() for patch in axes.patches] == [0.1, 0.2, 0.7]
    [whiskers] = bars(axes)
    ends = [segment[:, 0].tolist() for segment in whiskers.lines[2][0].get_segments()]
    assert ends == [pytest.approx([0.9 * value, 1.1 * value]) for value in (0.1, 0.2, 0.7)]
    assert axes.get_title(loc="left") == "validation error, R² 0.80"


def test_an_objective_without_importances_says_why() -> None:
    why = "12 different assignments with a value, of 20 needed"
    nothing = explained(width=np.nan, depth=np.nan).assign(objective="macs", r2=np.nan, reason=why)
    figure = figures.importance(pd.concat([explained(width=0.4, depth=0.6), nothing]))
    first, second = figure.axes
    assert len(first.patches) == 2
    assert len(second.patches) == 0
    assert " ".join(second.texts[0].get_text().split()) == why
    assert second.get_title(loc="left") == "MACs"
