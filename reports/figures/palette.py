"""The colours and markers of arms: no two arms of a figure or a table have the same."""

from __future__ import annotations

from typing import NamedTuple

from reports.figures.style import BLUE, GREEN, GREY, ORANGE, RED

PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"


class Tone(NamedTuple):
    """A colour in three places: in files of figures, and on a light and a dark page with a contrast of at least 3:1."""

    name: str
    print: str
    on_light: str
    on_dark: str


OKABE_ITO = (
    # Okabe and Ito 2008 without yellow, which is hard to see on white; on pages changed as little as contrast needs.
    Tone("blue", BLUE, "#0072B2", "#3D9BD8"),
    Tone("vermillion", RED, "#D55E00", "#E8701A"),
    Tone("green", GREEN, "#009E73", "#14B88A"),
    Tone("purple", PURPLE, "#C2649A", "#D68FB8"),
    Tone("orange", ORANGE, "#B97F00", "#E69F00"),
    Tone("sky", SKY, "#2F93C9", "#7CC8F2"),
)

INK = "black"
"""The name of the tone that is the colour of the text."""

FURTHER = (
    # Each is as far as possible from all before it, in OKLab with 0.6 of the lightness, and not too bright.
    Tone("tone8", "#551188", "#551188", "#7755BB"),
    Tone("tone9", "#770000", "#770000", "#AA4455"),
    Tone("tone10", "#445500", "#445500", "#AAEE77"),
    Tone("tone11", "#8866DD", "#8866DD", "#AA99FF"),
    Tone("tone12", "#002288", "#002288", "#446699"),
    Tone("tone13", "#881166", "#881166", "#AA4499"),
    Tone("tone14", "#553355", "#553355", "#FFBBFF"),
    Tone("tone15", "#006666", "#006666", "#007766"),
    Tone("tone16", "#779900", "#779900", "#778800"),
    Tone("tone17", "#885533", "#885533", "#996622"),
    Tone("tone18", "#BB3344", "#BB3344", "#EE6677"),
    Tone("tone19", "#665599", "#665599", "#9977AA"),
    Tone("tone20", "#007700", "#007700", "#AABB77"),
    Tone("tone21", "#553300", "#553300", "#FFBB99"),
    Tone("tone22", "#9944AA", "#9944AA", "#CC77DD"),
    Tone("tone23", "#EE6677", "#EE6677", "#CC8877"),
    Tone("tone24", "#224477", "#224477", "#5577DD"),
)

PALETTE = (*OKABE_ITO, Tone(INK, BLACK, "#1C1E22", "#E4E6EA"), *FURTHER)
"""By the index of an arm."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "d")
"""Matplotlib's names of markers, by the index of an arm, in turn; none that looks like an arrow."""

LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
"""Line styles, by the index of an arm: one for each seven arms."""


def colour(index: int) -> str:
    """Return the colour of an arm, which is the same in every figure; grey for an arm that figures leave out."""
    return PALETTE[index].print if index < len(PALETTE) else GREY


def marker(index: int) -> str:
    """Return matplotlib's name of an arm's marker."""
    return MARKERS[index % len(MARKERS)]
