"""A run's stored predictions are used if they give the trial's error on the same images, and counted if not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from answers import predictions_with_error

from ablations.predicted_arms import PredictedArms
from ablations.run import AblationRun
from search.data import Images

Make = Callable[..., AblationRun]
ERRORS = {"base": [0.10, 0.12, 0.11], "other": [0.14, 0.15, 0.18]}


def test_predictions_give_the_errors_of_their_trials(ablation: Make) -> None:
    run = ablation(ERRORS, predicted=True)
    found = run.predicted
    assert list(found.arms) == ["base", "other"]
    assert (found.missing, found.unusable) == (0, 0)
    for summary in run.summaries:
        arm = found.arms[summary.arm]
        assert arm.seeds == (0, 1, 2)
        assert arm.wrong.mean(axis=1).tolist() == pytest.approx(list(summary.errors))


def test_an_interval_on_images_contains_that_of_the_finding(ablation: Make) -> None:
    run = ablation(ERRORS, predicted=True)
    (finding,) = run.findings
    both = run.image_interval(finding)
    assert both is not None
    assert (both.delta, both.low, both.high) == pytest.approx(
        (finding.difference.delta, finding.difference.low, finding.difference.high)
    )
    assert both.low_images < both.low
    assert both.high < both.high_images
    assert both.images == 359


def test_a_finding_without_an_interval_has_none_on_images(ablation: Make) -> None:
    run = ablation({"base": [0.1], "other": [0.2]}, predicted=True)
    assert [run.image_interval(found) for found in run.findings] == [None]


def test_a_study_of_validation_errors_has_no_interval_on_test_images(ablation: Make) -> None:
    run = ablation(ERRORS, predicted=True, planned={"measure": "validation_error"})
    assert [run.image_interval(found) for found in run.findings] == [None]


def test_a_study_with_interim_analyses_has_wider_intervals_on_images_too(ablation: Make) -> None:
    plan = {"compare": ["other"]}
    fixed = ablation(ERRORS, predicted=True, folder="fixed", planned=plan)
    adaptive = ablation(ERRORS, predicted=True, folder="adaptive", planned=plan, seeds={"min": 3, "max": 5})
    one, more = (run.image_interval(run.findings[0]) for run in (fixed, adaptive))
    assert one is not None
    assert more is not None
    parts = [(both.high_images - both.delta) ** 2 - (both.high - both.delta) ** 2 for both in (one, more)]
    assert parts[1] > parts[0] > 0


def test_trials_of_an_earlier_version_are_counted_as_missing(ablation: Make) -> None:
    run = ablation(ERRORS)
    assert (run.predicted.arms, run.predicted.missing, run.predicted.split) == ({}, 6, "")
    assert [run.image_interval(found) for found in run.findings] == [None]


def test_seeds_with_predictions_are_used_if_others_lack_them(ablation: Make) -> None:
    run = ablation(ERRORS, predicted=True)
    without = {record.key for record in run.records if record.seed == 0}
    some = replace(run, predictions={key: made for key, made in run.predictions.items() if key not in without})
    assert some.predicted.missing == 2
    assert [arm.seeds for arm in some.predicted.arms.values()] == [(1, 2), (1, 2)]
    assert some.image_interval(some.findings[0]) is not None


@pytest.mark.parametrize("change", ["bytes", "error", "split", "class"])
def test_predictions_that_cannot_be_the_trials_are_left_out_and_counted(
    change: str, ablation: Make, digits: Images
) -> None:
    run = ablation(ERRORS, predicted=True)
    key = next(record.key for record in run.records if record.seed == 1)
    error = next(record.test_error for record in run.records if record.key == key)
    assert error is not None
    true = predictions_with_error(error, digits, seed=1)
    wrong = {
        "bytes": b"PK",
        "error": predictions_with_error(error + 0.01, digits, seed=1).to_bytes(),
        "split": replace(true, split="f" * 16).to_bytes(),
        "class": replace(true, predicted=np.where(true.wrong, 10, true.predicted)).to_bytes(),
    }
    found = replace(run, predictions={**run.predictions, key: wrong[change]}).predicted
    assert (found.missing, found.unusable) == (0, 1)
    assert sorted(len(arm.seeds) for arm in found.arms.values()) == [2, 3]


def test_without_trials_nothing_is_missing() -> None:
    nothing: dict[str, Any] = {}
    assert PredictedArms.of(nothing, [], {}).missing == 0
