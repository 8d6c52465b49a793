"""The choice of arms that figures draw, and of figures that have data."""

from __future__ import annotations

from collections.abc import Callable

from ablations.run import AblationRun
from reports.document.arm_figures import MOST_DRAWN, drawn
from resnet_space.api import document

Make = Callable[..., AblationRun]


def test_if_there_are_too_many_arms_the_planned_and_the_most_different_ones_are_drawn(ablation: Make) -> None:
    errors = {f"arm {place}": [0.1 + place / 1000] * 2 for place in range(MOST_DRAWN + 10)}
    run = ablation(errors, planned={"compare": ["arm 1"]})
    shown = drawn(run)
    assert len(shown) == MOST_DRAWN
    assert {"arm 0", "arm 1", f"arm {MOST_DRAWN + 9}"} <= set(shown)
    assert "arm 2" not in shown
    pictures = document(run).pictures
    assert pictures
    assert all(f"{MOST_DRAWN} of {MOST_DRAWN + 10} arms are drawn" in picture.caption for picture in pictures)


def test_only_figures_with_data_are_drawn(ablation: Make) -> None:
    complete = ablation({"base": [0.1, 0.11], "other": [0.2, 0.22]}, epochs=2)
    assert [picture.stem for picture in document(complete).pictures] == ["differences", "curves"]
    assert document(ablation({"base": [None, None]}, folder="bare")).pictures == []


def test_the_figure_of_differences_has_its_numbers_as_alternative_text(ablation: Make) -> None:
    first, *_ = document(ablation({"base": [0.1, 0.11], "other": [0.2, 0.21], "none": [None, None]})).pictures
    assert first.alt == "other: +10.00 points, from +2.04 to +18.28; none: no results to compare yet"
