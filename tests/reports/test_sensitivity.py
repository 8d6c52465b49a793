"""What the seeds can show is printed with its basis, its cost and warnings, and is in the JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ablations.expected import Expected
from ablations.sensitivity import Sensitivity
from ablations.study import Ablation
from reports.page import Grid, Text
from reports.sensitivity import Cost, as_json, blocks
from search.measures.catalogue import MEASURES, Measure

EXPECTED = Expected(error=0.066, spread=0.02, images=10_000, source="a made-up source")
COST = Cost(seconds=1800, at_once=2)


def sensitivity(
    wanted: float | None = None,
    expected: Expected = EXPECTED,
    measures: dict[Measure, Expected] | None = None,
    **fields: Any,
) -> Sensitivity:
    study = Ablation.of(
        {
            "name": "made",
            "net": "resnet20",
            "arms": {"base": {}, "one": {}, "two": {}},
            "baseline": "base",
            "data": "cifar10",
            "recipe": "paper-cifar",
            "seeds": 5,
            "planned": {"test": "paired_t", "compare": ["one", "two"]},
            **fields,
        }
    )
    measures = measures or {MEASURES["test_error"]: expected}
    return Sensitivity(study, study.all_arms, 3, measures, wanted)


def shown(found: Sensitivity, cost: Cost = COST) -> tuple[Grid, list[str]]:
    grid, *texts = blocks(found, cost)
    assert isinstance(grid, Grid)
    return grid, [*grid.notes, *(line for text in texts if isinstance(text, Text) for line in text.lines)]


def test_the_table_has_the_smallest_difference_and_without_a_wanted_one_no_power() -> None:
    grid, lines = shown(sensitivity())
    assert list(grid.headings) == ["arm", "versus", "question", "seeds", "level", "80 % power at"]
    (row,) = [[cell.text for cell in cells] for cells in grid.rows]
    assert row[:5] == ["2 arms", "base", "a difference", "5", "0.025"]
    assert row[5].endswith(" points")
    assert lines == [
        "paired t test, alpha 0.05 by Holm over its family; 2 planned comparisons",
        "expected: a test error of 6.60 %, with a standard deviation over seeds of 0.12 points, as of a made-up "
        "source; sampling 10,000 images alone gives 0.25, which counts",
        "the power for a difference is that for an arm with a larger error, and for a margin that for an equal error",
    ]


def test_a_wanted_difference_is_shown_with_its_power_seeds_trials_and_hours() -> None:
    found = sensitivity(wanted=0.005)
    grid, lines = shown(found)
    assert [cell.text for cell in grid.rows[0]][2] == "a difference of 0.50 points"
    assert [cell.text for cell in grid.rows[0]][-1] == f"{100 * (found.rows[0].power or 0):.0f} %"
    seeds = found.needs[0].seeds
    assert seeds == 8
    assert lines[-1] == (
        "a difference of 0.50 points from base: 8 seeds are needed, 24 trials, about 4:00:00 of training, "
        "2:00:00 elapsed with 2 in parallel"
    )
    assert shown(found, Cost(None, 2))[1][-1].endswith("24 trials, of unknown duration on this machine")


def test_a_range_of_seeds_has_a_row_for_its_first_and_last_analysis_and_trials_are_at_most_these() -> None:
    grid, lines = shown(sensitivity(wanted=0.005, seeds={"min": 3, "max": 6}))
    assert [row[3].text for row in grid.rows] == ["3", "6"]
    assert "by Holm over its family, shared by 4 analyses; 2 planned comparisons" in lines[0]
    assert "9 seeds are needed, at most 27 trials" in lines[-1]


def test_what_cannot_be_shown_is_none_and_a_warning() -> None:
    grid, lines = shown(sensitivity(planned={"test": "wilcoxon", "compare": ["one"]}))
    assert [cell.text for cell in grid.rows[0]] == ["one", "base", "a difference", "5", "0.05", "none"]
    assert lines[-1].startswith("warning: with 5 seeds, no difference from base can be claimed: test 'wilcoxon' has no")


def test_a_correlation_of_the_pilot_is_printed() -> None:
    expected = Expected(0.066, 0.3, 10_000, "a pilot", correlation=0.4)
    assert shown(sensitivity(expected=expected))[1][1].endswith("as of a pilot; arms correlate over seeds by 0.40")


def test_comparisons_that_are_not_forecast_are_listed_with_the_reason() -> None:
    others = [{"arm": "one", "measure": "train_error"}, {"arm": "two", "measure": "train_error"}]
    planned = {"test": "paired_t", "compare": ["one", *others, {"arm": "one", "measure": "seconds"}]}
    assert shown(sensitivity(planned=planned))[1][-2:] == [
        "not forecast: 2 comparisons of training error, whose spread on data set 'cifar10' is unknown; "
        "name a run on it with --from DIR",
        "not forecast: 1 comparison of training time, which is no share of images",
    ]


def test_each_of_several_measures_has_its_rows_and_its_basis() -> None:
    measures = {MEASURES["test_error"]: EXPECTED, MEASURES["train_error"]: Expected(0.01, 0.2, 45_000, "a pilot")}
    planned = {"test": "paired_t", "compare": ["one", {"arm": "two", "measure": "train_error"}]}
    grid, lines = shown(sensitivity(planned=planned, measures=measures))
    assert [row[2].text for row in grid.rows] == ["test error", "training error"]
    assert lines[2].startswith("expected: a training error of 1.00 %")


def test_a_study_without_comparisons_has_no_table() -> None:
    assert blocks(sensitivity(arms={"base": {}}, planned={}), COST) == []


def test_the_json_has_rows_needs_and_the_basis_as_fractions() -> None:
    found = as_json(sensitivity(wanted=0.005), COST, devices=4)
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "power": 0.8,
        "planned": True,
        "test": "paired_t",
        "expected": {
            "test_error": {
                "error": 0.066,
                "std": pytest.approx(0.00248, abs=1e-5),
                "std_is_sampling": True,
                "correlation": 0.0,
                "images": 10_000,
                "source": "a made-up source",
            }
        },
        "not_forecast": {},
        "comparisons": [
            {
                "arms": ["one", "two"],
                "versus": "base",
                "question": "difference",
                "margin": None,
                "measure": "test_error",
                "error": 0.066,
                "seeds": 5,
                "level": 0.025,
                "smallest": pytest.approx(0.0075, abs=0.0005),
                "power": pytest.approx(0.45, abs=0.05),
                "obstacle": "",
            }
        ],
        "needed": [
            {
                "arms": ["one", "two"],
                "versus": "base",
                "question": "difference",
                "margin": None,
                "measure": "test_error",
                "wanted": 0.005,
                "seeds": 8,
                "trials": 24,
                "device_hours": 16.0,
                "wall_hours": 2.0,
            }
        ],
        "warnings": [],
    }
