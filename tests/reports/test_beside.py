"""Published results behind a front: what is near is drawn, what is not is counted, and all of it says what it is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.text import Text

from ablations.published import catalogue
from ablations.run import AblationRun
from reports import beside, comparisons, figures, html, markdown, published
from reports.beside import FARTHEST, Known
from reports.figures import Mark
from reports.illustrations import illustrations
from reports.numbering import Place
from reports.published import LABEL
from reports.write import DOCUMENTS, TABLES, write
from resnet_space import api
from resnet_space.api import studies

Make = Callable[..., AblationRun]
ERRORS = {"base": [0.010, 0.012, 0.011], "bad": [0.310, 0.313, 0.312]}
CIFAR = catalogue("cifar10")
MARKS = [Mark("a", 4e7, 0.09, on_front=True), Mark("b", 2e8, 0.06, on_front=True), Mark("c", 3e8, 0.10)]


def stars(axes: Axes) -> list[tuple[float, float]]:
    return [tuple(at) for line in axes.lines if line.get_gid() == "published" for at in line.get_xydata().tolist()]


positive = st.floats(1e-3, 1e12)
place = st.tuples(positive, positive)


@given(st.lists(place, min_size=1), st.lists(place))
def test_what_is_near_keeps_the_axes_within_a_decade_of_what_was_measured(
    measured: list[tuple[float, float]], others: list[tuple[float, float]]
) -> None:
    near = beside.near([Known("", *at) for at in [*measured, *others]], measured)
    assert {(each.x, each.y) for each in near} >= set(measured)
    for axis in (0, 1):
        values = [at[axis] for at in measured]
        for each in near:
            value = (each.x, each.y)[axis]
            assert min(values) / FARTHEST <= value <= max(values) * FARTHEST


def test_an_error_of_zero_has_no_decade_below_it() -> None:
    known = [Known("near", 1e6, 0.03), Known("far", 1e6, 0.05)]
    assert beside.near(known, [(1e6, 0.0), (2e6, 0.02)]) == known[:1]


def test_stars_stand_at_the_published_error_and_cost_behind_the_front() -> None:
    figure = figures.front(MARKS, x="macs", y="error", published=[Known("known", 1e8, 0.07)])
    axes = figure.axes[0]
    assert stars(axes) == [pytest.approx((1e8, 7.0))]
    assert "known" in [text.get_text() for text in axes.texts]
    assert LABEL in [text.get_text() for text in figure.legends[0].get_texts()]
    [line] = [line for line in axes.lines if line.get_gid() == "published"]
    assert line.get_zorder() < min(container.lines[0].get_zorder() for container in axes.containers)


def test_an_arm_s_staircase_is_not_moved_by_what_was_published() -> None:
    places = [Place("a", 0, 4e7, 0.09, None, True), Place("b", 1, 2e8, 0.06, None, True)]
    figure = comparisons.complexity(places, published=[Known("known", 1e8, 0.01), Known("far", 1e12, 0.01)])
    axes = figure.axes[0]
    assert stars(axes) == [pytest.approx((1e8, 1.0))]
    [stairs] = [line for line in axes.lines if line.get_label() == "_front"]
    assert [tuple(at) for at in stairs.get_xydata().tolist()][1:-1] == figures.staircase([(4e7, 9.0), (2e8, 6.0)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1  a", "2  b", LABEL]


def test_without_published_results_a_figure_is_what_it_was() -> None:
    far = figures.front(MARKS, x="macs", y="error", published=[Known("far", 1e12, 0.07)])
    none = figures.front(MARKS, x="macs", y="error")
    assert stars(far.axes[0]) == []
    assert far.axes[0].get_xlim() == none.axes[0].get_xlim()
    assert LABEL not in [text.get_text() for text in far.legends[0].get_texts()]


def test_names_stand_on_no_other_name_and_on_no_point() -> None:
    figure = figures.front(MARKS, x="macs", y="error", published=beside.known(CIFAR, "macs"))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) > 5
    assert not any(one.padded(-2).overlaps(other.padded(-2)) for one, other in combinations(boxes, 2))
    dots = axes.transData.transform(stars(axes))
    assert not any(box.padded(-2).count_contains(dots) for box in boxes)


def test_each_place_is_drawn_once_and_only_costs_that_are_published_have_any() -> None:
    known = beside.known(CIFAR, "macs")
    assert len({(each.x, each.y, each.name.split()[0]) for each in known}) == len(known)
    assert beside.known(CIFAR, "latency_ms") == []


def test_a_caption_says_what_is_drawn_and_how_many_lie_outside() -> None:
    said = beside.sentence(CIFAR, "macs", [(4e7, 0.09), (2e8, 0.06)], "cifar10")
    assert LABEL in said
    assert "lie far outside of the figure" in said
    nowhere = beside.sentence(CIFAR, "macs", [(1e3, 0.09)], "digits")
    assert f"results on cifar10 (this run is on digits), {LABEL}, lie far outside of the figure" in nowhere
    assert "Hollow stars" not in nowhere
    assert beside.sentence([], "macs", [(1e3, 0.09)], "digits") == ""


def test_a_report_names_nothing_published_by_itself(ablation: Make) -> None:
    run = ablation(ERRORS)
    assert LABEL not in markdown.render(run)
    assert LABEL not in html.page(run)


@pytest.mark.parametrize("name", [*DOCUMENTS, *TABLES])
def test_every_format_tells_what_was_published_when_it_is_asked_for(ablation: Make, name: str) -> None:
    run = ablation(ERRORS)
    paths = write(run, [name], CIFAR)
    assert paths[0].name == f"report.{name}"
    last = paths[-1].read_bytes()
    told = str(pd.read_parquet(paths[-1])["source"].tolist()) if name == "parquet" else last.decode()
    assert "1608.06993 table 2" in told
    write(run, [name], CIFAR)
    assert paths[-1].read_bytes() == last, "the same run is the same bytes"


def test_the_table_stands_below_the_figure_and_says_what_is_counted(ablation: Make) -> None:
    found = ablation(ERRORS)
    text = markdown.render(found, illustrations(found, CIFAR))
    figure, table = text.index("](complexity.svg)"), text.index("| network | error on | error, % |")
    assert figure < table < text.index("## Setting")
    assert "| resnet56 option A | cifar10 | 6.97 | 850k | 127M, counted | 1512.03385 table 6 |" in text
    assert "| nin |" not in text, "what has no cost has no place"
    page = html.page(found, illustrations(found, CIFAR))
    assert page.index("Error against complexity") < page.index(LABEL.capitalize())


def test_published_results_as_csv_and_parquet_are_numbers(ablation: Make) -> None:
    paths = {path.name: path for path in write(ablation(ERRORS), ["csv", "parquet"], CIFAR)}
    rows = list(csv.DictReader(io.StringIO(paths["published.csv"].read_text())))
    frame = pd.read_parquet(paths["published.parquet"])
    assert len(rows) == len(frame) == len(published.with_a_place(CIFAR))
    [row] = [row for row in rows if (row["model"], row["table"]) == ("resnet56", "depth")]
    assert (float(row["error"]), row["params_counted"], row["macs_counted"]) == (0.0697, "False", "True")


def test_records_can_be_written_as_json() -> None:
    told = json.loads(json.dumps(published.records(CIFAR), allow_nan=False))
    assert len(told) == len(CIFAR)
    [nin] = [row for row in told if row["model"] == "nin"]
    assert (nin["error"], nin["params"], nin["params_counted"]) == (0.0881, None, None)


def test_a_search_has_stars_in_the_front_of_each_cost_and_one_table_below_the_last(tmp_path: Path) -> None:
    study = {
        "name": "small",
        "kind": "search",
        "space": {"base": "resnet20", "axes": {"stages.*.units": [1, 2]}},
        "objectives": ["error", "macs", "params"],
        "budget": {"trials": 2},
        "confirm": 0,
        "data": {"name": "digits", "limit": 100},
        "recipe": {"base": "digits", "epochs": 1},
    }
    run = api.run(studies.of(study, source="small"), tmp_path / "run", inline=True)
    macs, params, *_ = illustrations(run, CIFAR)
    assert (macs.stem, params.stem) == ("front-macs", "front-params")
    assert stars(params.draw().axes[0])
    assert not macs.published
    assert params.published
    assert "(this run is on digits)" in params.caption
    text = markdown.render(run, illustrations(run, CIFAR))
    assert text.count("| network | error on | error, % |") == 1
    assert text.index("](front-params.svg)") < text.index("| network | error on | error, % |")
    assert LABEL.capitalize() in html.page(run, illustrations(run, CIFAR))
    assert "1608.06993 table 2" in str(TABLES["tex"](run, CIFAR))
