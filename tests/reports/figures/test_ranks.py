"""A critical-difference diagram: all arms at their average ranks, and bars over arms that cannot be distinguished."""

from __future__ import annotations

import pytest
from drawings import axis_of, part, texts_in
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from reports.figures.palette import colour
from reports.figures.ranks import Ranked, critical_difference
from reports.page import SINGLE

ARMS = [Ranked("best", 0, 1.25), Ranked("second", 2, 2.0), Ranked("third", 1, 3.0), Ranked("worst", 3, 3.75)]

FEW = settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))


def test_each_arm_is_on_the_axis_at_its_rank_in_its_colour() -> None:
    figure = critical_difference(ARMS, most=4, distance=1.2)
    for one in ARMS:
        (point,) = part(figure, f"arm-{one.index}-point")
        assert (point.get_xdata()[0], point.get_ydata()[0]) == (one.rank, 0)
        assert point.get_color() == colour(one.index)
    assert axis_of(figure).get_xlim() == (1, 4)


def test_the_better_half_has_its_labels_on_the_left() -> None:
    texts = texts_in(critical_difference(ARMS, most=4, distance=1.2))
    assert {"best  1.25", "second  2.00", "3.00  third", "3.75  worst"} <= set(texts)


def test_a_bar_reaches_from_the_best_to_the_worst_arm_of_its_group() -> None:
    figure = critical_difference(ARMS, most=4, distance=1.2, groups=[(0, 2), (2, 1, 3)])
    bars = [part(figure, f"group-{at}")[0] for at in (1, 2)]
    assert [list(bar.get_xdata()) for bar in bars] == [[1.25, 2.0], [2.0, 3.75]]
    assert bars[0].get_ydata()[0] < bars[1].get_ydata()[0], "bars do not cover each other"


def test_the_critical_difference_is_drawn_to_scale_with_its_number() -> None:
    figure = critical_difference(ARMS, most=4, distance=1.2)
    (line,) = part(figure, "critical-difference")
    assert list(line.get_xdata()) == pytest.approx([1, 2.2])
    assert any("critical difference 1.20" in text for text in texts_in(figure))


def test_without_arms_a_sentence_says_so() -> None:
    assert any("no arm has results" in text for text in texts_in(critical_difference([], most=3, distance=1)))


@FEW
@given(st.integers(3, 30), st.data())
def test_labels_of_one_side_do_not_overlap(k: int, data: st.DataObject) -> None:
    ranks = data.draw(st.lists(st.floats(1, k), min_size=k, max_size=k))
    figure = critical_difference([Ranked(f"arm {at}", at, rank) for at, rank in enumerate(ranks)], most=k, distance=1)
    boxes = [
        text.get_window_extent()
        for text in figure.findobj(lambda artist: str(artist.get_gid() or "").endswith("-name"))
    ]
    assert len(boxes) == k
    for at, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[at + 1 :])
        assert figure.bbox.x0 - 1 <= one.x0
        assert one.x1 <= figure.bbox.x1 + 1


def test_a_narrow_diagram_has_a_row_for_each_arm_and_keeps_its_axis() -> None:
    names = ["identity", "exclusive gate, bias -6", "shortcut-only gate, bias 0", "1x1 convolution"]
    arms = [Ranked(name, at, 1 + at) for at, name in enumerate(names)]
    figure = critical_difference(arms, most=4, distance=1.2, groups=[(0, 1)], width=SINGLE)
    assert axis_of(figure).get_window_extent().width > 0.85 * figure.bbox.width
    texts = [text for text in figure.findobj(Text) if (text.get_gid() or "").endswith("-name")]
    assert len({text.get_window_extent().y0 for text in texts}) == len(names)
    assert texts[0].get_text() == "1.00  identity"
    assert texts[-1].get_text() == "1x1 convolution  4.00"
