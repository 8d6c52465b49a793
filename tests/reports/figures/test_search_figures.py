"""Properties of all figures of a search: the same data give the same file, and any text is a valid name."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from drawings import axis_of, texts_in
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from reports.figures.front import Mark, front
from reports.figures.hypervolume import hypervolume
from reports.figures.importance import importance
from reports.figures.saving import save
from reports.figures.style import FORMATS, plain
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


def saved(figure: Figure, folder: Path, formats: Iterable[str] = ("svg",)) -> list[bytes]:
    return [path.read_bytes() for path in save(figure, folder, "figure", tuple(formats))]


def explained(**importances: float) -> pd.DataFrame:
    rows = [
        {"axis": axis, "objective": "error", "importance": value, "std": 0.1 * value, "r2": 0.8, "reason": ""}
        for axis, value in importances.items()
    ]
    return pd.DataFrame(rows, columns=["axis", "objective", "importance", "std", "r2", "reason"])


def all_figures() -> list[Figure]:
    return [
        front(CLOUD, x="macs", y="error", knee="b", reference=(3e8, 0.2), title="A title"),
        hypervolume([1, 2, 2, 5], random=[[1, 1, 2, 3], [0, 1, 1, 2]], ended={"pruned": [2]}),
        importance(explained(width=0.7, depth=0.3)),
    ]


def test_the_same_data_give_the_same_file(tmp_path: Path) -> None:
    formats = list(FORMATS)
    for one, other in zip(all_figures(), all_figures(), strict=True):
        first = saved(one, tmp_path, formats)
        assert saved(other, tmp_path, formats) == first
        assert saved(one, tmp_path) == first[:1]


def test_a_figure_neither_changes_nor_uses_the_settings_of_matplotlib(tmp_path: Path) -> None:
    expected = [saved(figure, tmp_path) for figure in all_figures()]
    with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "svg.fonttype": "none", "svg.hashsalt": "other"}):
        before = dict(matplotlib.rcParams)
        assert [saved(figure, tmp_path) for figure in all_figures()] == expected
        assert dict(matplotlib.rcParams) == before


def test_figures_do_not_import_pyplot() -> None:
    code = "import sys, reports.figures.front, reports.figures.saving; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_svg_contains_no_date_and_no_font(tmp_path: Path) -> None:
    svg = saved(all_figures()[0], tmp_path)[0].decode()
    assert "date>" not in svg
    assert "<text" not in svg
    assert "font-family" not in svg


def test_all_text_stays_inside_the_figure() -> None:
    wide = hypervolume([1, 2], objectives=list(OBJECTIVES), ended={"diverged " * 9: [1]}, title="title " * 40)
    long = importance(explained(**{"stages.0." * 20: 0.5, "width": 0.5}))
    for figure in (*all_figures(), wide, long):
        # In inches.
        (left, bottom), (right, top) = figure.get_tightbbox().get_points()
        width, height = figure.get_size_inches()
        assert -0.01 <= left < right <= width + 0.01
        assert -0.01 <= bottom < top <= height + 0.01


def test_a_figure_without_data_shows_a_sentence(tmp_path: Path) -> None:
    empty = [front([], x="macs", y="error"), hypervolume([]), importance(explained())]
    for figure in empty:
        assert saved(figure, tmp_path)
        assert any(text.startswith("no ") for text in texts_in(figure))
    assert axis_of(empty[0]).get_xlabel() == "MACs"


@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_not_read_as_mathematics_or_markup(text: str, tmp_path: Path) -> None:
    marks = [Mark(text, 1e7, 0.1, on_front=True), Mark("other", 2e7, 0.05)]
    table = explained(**{text: 1.0}).assign(objective=text)
    unknown = table.assign(importance=np.nan, reason=text)
    for figure in (
        front(marks, x="macs", y="error", knee=text, title=text),
        hypervolume([1, 2], ended={text: [1]}, title=text),
        importance(table, title=text),
        importance(unknown),
    ):
        root = ET.fromstring(saved(figure, tmp_path)[0])
        assert not [node for node in root.iter() if node.tag.endswith("script")]
        assert any(plain(text) in found for found in texts_in(figure))


@given(st.text())
def test_a_label_is_one_line_of_characters_of_the_font(text: str) -> None:
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
        (lambda: front(CLOUD, x="mac", y="error"), "x: unknown objective 'mac'; did you mean 'macs'?"),
        (lambda: front(CLOUD, x="macs", y="error", knee="z"), "knee: unknown mark 'z'; allowed: a, b"),
        (lambda: front(CLOUD, x="macs", y="error", reference=(1, float("inf"))), "reference: must be finite"),
        (lambda: hypervolume([1, float("nan")]), "trace: must be finite"),
        (lambda: hypervolume([1], objectives=["errors"]), "objectives: unknown objective 'errors'"),
    ],
)
def test_wrong_data_are_refused_with_a_message(make: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()  # type: ignore[operator]
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("stem", "formats", "message"),
    [
        ("a", ["svgz"], "formats: unknown format 'svgz'; did you mean 'svg'?"),
        ("../a", ["svg"], "stem: must be a file name without folders; got '../a'"),
    ],
)
def test_unknown_formats_and_stems_with_folders_are_refused(
    stem: str, formats: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        save(Figure(), tmp_path / "in", stem, formats)
    assert str(caught.value).startswith(message)
    assert not list(tmp_path.rglob("*"))


def test_saving_a_figure_leaves_no_other_files(tmp_path: Path) -> None:
    paths = save(all_figures()[0], tmp_path / "new", "front")
    assert sorted((tmp_path / "new").iterdir()) == sorted(paths)
    assert [path.name for path in paths] == ["front.svg", "front.png"]
