"""Every measure has a source that exists, and its values are written in its unit."""

from __future__ import annotations

import pytest

from resnet_space import InputError
from search.fronts.objectives import OBJECTIVES
from search.measures.catalogue import COSTS, MEASURES, Measure
from search.measures.targets import TARGETS, Target, measure_of
from search.store.tables import RESULTS, epochs, trials

TO_5 = Target.of({"kind": "epochs_to", "error": 0.05})
ALL = {**MEASURES, **COSTS, **{kind: Target.of({"kind": kind, "error": 0.1}).measure for kind in TARGETS}}


@pytest.mark.parametrize("name", ALL)
def test_a_measure_is_a_column_of_the_store(name: str) -> None:
    measure = ALL[name]
    if measure.source == "epochs":
        assert measure.column == "elapsed" or measure.column in epochs.c
        assert measure.curve in epochs.c
    else:
        assert measure.column in trials.c
        assert measure.curve == ""


@pytest.mark.parametrize("name", ALL)
def test_a_share_of_images_is_in_percent_and_its_differences_in_points(name: str) -> None:
    measure = ALL[name]
    assert measure.percent == (measure.split is not None)
    assert measure.difference_unit == ("points" if measure.percent else measure.unit)
    assert measure.known_before == (name in COSTS)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_objective_is_measured_on_the_test_split(name: str) -> None:
    assert OBJECTIVES[name].split != "test"
    assert OBJECTIVES[name].column in RESULTS


@pytest.mark.parametrize(
    ("measure", "mean", "std", "text"),
    [
        (MEASURES["test_error"], 0.0139, 0.002, "1.39 ± 0.20"),
        (MEASURES["train_loss"], 0.01234, None, "0.0123"),
        (MEASURES["seconds"], 61.26, 1.04, "61.3 ± 1.0"),
        (TO_5.measure, 12, None, "12.0"),
        (TO_5.measure, None, None, "-"),
    ],
)
def test_values_are_written_in_the_unit_of_the_heading(
    measure: Measure, mean: float | None, std: float | None, text: str
) -> None:
    assert measure.text(mean, std) == text


def test_differences_have_a_sign_and_an_interval() -> None:
    assert MEASURES["test_error"].interval(0.0836, 0.061, 0.1062) == "+8.36 [+6.10, +10.62]"
    assert MEASURES["test_error"].size(-0.0836) == "8.36 points"
    assert TO_5.measure.interval(-4.5, None, None) == "-4.5"
    assert TO_5.measure.size(-4.5) == "4.5 epochs"


def test_a_target_is_named_by_its_error_and_its_split() -> None:
    assert (TO_5.measure.name, TO_5.measure.heading) == ("epochs_to_0.05", "time to 5 % validation error, epochs")
    other = Target.of({"kind": "seconds_to", "error": 0.1, "split": "train"}).measure
    assert (other.name, other.heading, other.curve) == (
        "seconds_to_0.1_train",
        "time to 10 % training error, s",
        "train_error",
    )
    assert measure_of("test_error") is MEASURES["test_error"]
    assert measure_of(TO_5) == TO_5.measure


def test_the_test_split_is_not_watched_during_training() -> None:
    with pytest.raises(InputError, match=r"unknown split 'test'; .*allowed: validation, train"):
        Target.of({"kind": "epochs_to", "error": 0.05, "split": "test"})


def test_a_network_that_guesses_has_the_error_of_chance() -> None:
    assert [MEASURES[name].guess(10) for name in ("test_error", "top5_error") if MEASURES[name].guess] == [0.9, 0.5]
    assert MEASURES["top5_error"].guess(3) == 0
    assert MEASURES["train_loss"].guess(10) == pytest.approx(2.302585)
    assert MEASURES["seconds"].guess is None
