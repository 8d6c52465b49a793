"""The outcome of a trial for the sampler: the values of all objectives, measured or counted."""

from __future__ import annotations

from typing import Any

import pytest

from search.exploring.history import outcome
from search.exploring.study import Search
from search.fronts.objectives import OBJECTIVES
from search.samplers.sampler import Outcome
from search.trials.events import Finished

SPACE: dict[str, Any] = {"base": "resnet20", "set": {"width": 0.25}, "axes": {"stages.0.units": [1, 2]}}
END = Finished("k", "complete", "", 0.2, 0.1, latency_ms=2.0, seconds=30.0, top5_error=0.01)


def found(objectives: list[str], **changes: Any) -> Outcome | None:
    study = Search.of(
        {
            "name": "try",
            "kind": "search",
            "space": SPACE,
            "budget": {"trials": 8},
            "data": "digits",
            "recipe": "digits",
            "objectives": objectives,
            **changes,
        }
    )
    space = study.space_for((1, 8, 8), 10)
    return outcome(study, space.point({"stages.0.units": 1}), END, space)


def test_an_outcome_has_the_measured_values_in_the_order_of_the_objectives() -> None:
    assert found(["seconds", "error", "latency_ms"]) == Outcome("complete", (30.0, 0.1, 2.0), 0.0)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_has_a_value(name: str) -> None:
    one = found([name])
    assert one is not None
    assert one.status == "complete"
    assert one.values[0] > 0


def test_a_constraint_on_training_time_selects_results() -> None:
    late = found(["error", "macs"], constraints=["seconds <= 20"])
    assert late is not None
    assert late.violation > 0
