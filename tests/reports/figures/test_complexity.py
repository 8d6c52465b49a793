"""Every arm is a numbered point, and the step line goes through the front."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from drawings import axis_of, part
from matplotlib.text import Text

from reports.figures.complexity import Place, complexity
from reports.figures.front import staircase


def test_every_arm_is_a_point_with_its_row_number_in_the_table() -> None:
    figure = complexity([Place("a", 0, 2e6, 0.02, 0.001, True), Place("b", 4, 3e6, 0.05, None, False)])
    for index, at in ((0, (2e6, 2.0)), (4, (3e6, 5.0))):
        (point,) = part(figure, f"arm-{index}-point")
        assert tuple(point.get_xydata()[0]) == pytest.approx(at)
        assert [text.get_text() for text in part(figure, f"arm-{index}-number", Text)] == [str(index + 1)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1  a", "5  b"]


@pytest.mark.parametrize("spread", [0.0, 0.002, 0.2])
def test_numbers_of_points_do_not_overlap(spread: float) -> None:
    generator = np.random.default_rng(0)
    places = [
        Place(f"arm {i}", i, 1e6 + (i % 3) * 1e5, 0.1 + spread * float(generator.random()), None, False)
        for i in range(14)
    ]
    figure = complexity(places)
    figure.draw_without_rendering()
    texts = [text for index in range(14) for text in part(figure, f"arm-{index}-number", Text)]
    boxes = [Text.get_window_extent(text) for text in texts]
    assert len(boxes) == 14
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_the_step_line_goes_only_through_the_front() -> None:
    places = [
        Place("a", 0, 1e6, 0.05, None, True),
        Place("b", 1, 2e6, 0.03, None, True),
        Place("c", 2, 3e6, 0.04, 0, False),
    ]
    (stairs,) = [line for line in axis_of(complexity(places)).lines if line.get_label() == "_front"]
    corners = [tuple(corner) for corner in stairs.get_xydata().tolist()[1:-1]]
    assert np.array(corners) == pytest.approx(np.array(staircase([(1e6, 5.0), (2e6, 3.0)])))
