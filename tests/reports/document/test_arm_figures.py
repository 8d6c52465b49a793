"""The data of an ablation's figures: signals averaged over seeds, and the choice of arms to draw."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from ablations.run import AblationRun
from reports.document.arm_figures import MOST_DRAWN, drawn, signals
from resnet_space.api import document
from search.trials.events import Probe

Make = Callable[..., AblationRun]


def probe(gradient: list[float | None], gain: list[float | None]) -> Probe:
    return Probe("k", 0, gradient, gain, [1.0] * len(gain), [0.5] * len(gain))


def test_gains_are_multiplied_over_depth_and_averaged_over_seeds() -> None:
    found = signals([probe([1.0, 1.0, 1.0], [0.5, 0.5, 1.0]), probe([1.0, 1.0, 1.0], [0.5, 0.5, 0.0])])
    assert found["product"] == pytest.approx([0.5, 0.25, 0.125])
    assert found["dead"] == [0.5, 0.5, 0.5]


def test_gradients_are_averaged_with_the_geometric_mean() -> None:
    assert signals([probe([1.0], [1.0]), probe([100.0], [1.0])])["gradient"] == pytest.approx([10.0])


def test_missing_seeds_are_left_out_and_a_signal_without_any_seed_is_nan() -> None:
    found = signals([probe([None, None], [1.0, 1.0]), probe([4.0, None], [1.0, 1.0])])
    assert found["gradient"][0] == pytest.approx(4.0)
    assert math.isnan(found["gradient"][1])
    assert signals([]) == {}


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
