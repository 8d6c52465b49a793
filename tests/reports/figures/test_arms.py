"""Figures of arms show every arm in its own style, and work with any text as a name."""

from __future__ import annotations

import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from drawings import texts_in
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from reports.figures.arms import dashes, look
from reports.figures.complexity import Place, complexity
from reports.figures.differences import Bar, forest
from reports.figures.distributions import Distribution, distributions
from reports.figures.lines import Curve, Trace, curves, propagation
from reports.figures.palette import PALETTE, colour
from reports.figures.saving import save
from reports.figures.style import GREY
from reports.page import DOUBLE, SINGLE

HOSTILE = [r"$\frac{", "$x$", "<script>alert(1)</script>", "]]> --> &amp;", "шорткат", "\x00\x1b", "", "a\nb" * 400]


def curve(index: int, mean: Sequence[float], half: float = 0.01) -> Curve:
    low, high = [value - half for value in mean], [value + half for value in mean]
    return Curve(f"arm {index}", index, range(1, len(mean) + 1), mean, low, high)


def trace(index: int, value: Sequence[float]) -> Trace:
    return Trace(f"arm {index}", index, range(1, len(value) + 1), value)


ALL: dict[str, Callable[..., Figure]] = {
    "forest": lambda names, width=DOUBLE: forest(
        [Bar(name, i, 0.01 * i, 0.01 * i - 0.002, 0.01 * i + 0.002, True, True, name) for i, name in enumerate(names)],
        baseline="".join(names[:1]),
        width=width,
    ),
    "curves": lambda names, width=DOUBLE: curves(
        [Curve(name, i, [1, 2], [0.5, 0.4], [0.4, 0.3], [0.6, 0.5]) for i, name in enumerate(names)],
        width=width,
    ),
    "complexity": lambda names, width=DOUBLE: complexity(
        [Place(name, i, 1e6 + i, 0.1, 0.01, i == 0) for i, name in enumerate(names)], width=width
    ),
    "propagation": lambda names, width=DOUBLE: propagation(
        {"gradient norm": {"at the end": [Trace(name, i, [1, 2], [1.0, 0.5]) for i, name in enumerate(names)]}},
        width=width,
    ),
    "distributions": lambda names, width=DOUBLE: distributions(
        [Distribution(name, i, [0.1, 0.2]) for i, name in enumerate(names)], width=width
    ),
}

EMPTY: dict[str, Figure] = {
    "forest": forest([], baseline="identity"),
    "curves": curves([]),
    "curves without epochs": curves([curve(0, [])]),
    "complexity": complexity([]),
    "complexity without numbers": complexity([Place("a", 0, 1e6, math.nan, None, False)]),
    "propagation": propagation({}),
    "propagation of nothing": propagation({"gradient norm": {}, "dead ReLUs, %": {"at the end": [trace(0, [])]}}),
    "distributions": distributions([]),
    "distributions without numbers": distributions([Distribution("a", 0, [math.nan])]),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_figure_without_data_shows_a_sentence(name: str, tmp_path: Path) -> None:
    save(EMPTY[name], tmp_path, "figure", ("svg",))
    assert any(len(text.split()) > 1 and not figure_heading(text) for text in texts_in(EMPTY[name]))


def figure_heading(text: str) -> bool:
    return text in {"gradient norm", "dead ReLUs, %", "error, %", "share of networks", "validation error, %"}


@pytest.mark.parametrize("name", ALL)
def test_any_text_is_a_valid_name_and_is_drawn_without_markup(name: str, tmp_path: Path) -> None:
    figure = ALL[name](HOSTILE)
    (file,) = save(figure, tmp_path, "figure", ("svg",))
    ET.parse(file)
    for text in ("$x$", r"$\frac{", "<script>alert(1)</script>", "шорткат"):
        assert any(text in found for found in texts_in(figure))
    assert not any(text.get_parse_math() for text in figure.findobj(Text) if "$" in text.get_text())


@pytest.mark.parametrize("name", ALL)
def test_the_same_arms_give_the_same_file(name: str, tmp_path: Path) -> None:
    one, other = (
        [path.read_bytes() for path in save(ALL[name](["a", "b"]), tmp_path, "figure", ("svg", "png"))]
        for _ in range(2)
    )
    assert one == other


@pytest.mark.parametrize("name", ALL)
def test_everything_that_belongs_to_an_arm_has_its_gid_and_its_colour(name: str) -> None:
    figure = ALL[name]([f"arm {i}" for i in range(9)])
    for index in range(9):
        lines = [line for line in figure.findobj(Line2D) if (line.get_gid() or "").startswith(f"arm-{index}-")]
        assert lines
        assert {to_hex(line.get_color()).upper() for line in lines} == {colour(index).upper()}


def test_figures_of_arms_do_not_import_pyplot() -> None:
    code = "import sys, reports.figures.arms, reports.figures.lines; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_two_arms_of_a_figure_have_the_same_colour_or_the_same_style() -> None:
    arms = range(len(PALETTE))
    assert len({colour(index) for index in arms}) == len(arms)
    assert len({(str(dashes(index)), look(index)["marker"]) for index in arms}) == len(arms)


def test_an_arm_that_figures_leave_out_is_grey() -> None:
    assert colour(len(PALETTE)) == colour(10 * len(PALETTE)) == GREY


@pytest.mark.parametrize("name", ALL)
def test_a_figure_can_be_drawn_for_one_column_of_a_paper(name: str) -> None:
    figure = ALL[name](["identity", "exclusive gate, bias -6", "shortcut-only gate, bias -6"], width=SINGLE)
    assert figure.get_size_inches()[0] == SINGLE
    (left, _), (right, _) = figure.get_tightbbox().get_points()
    assert -0.01 <= left < right <= SINGLE + 0.01
