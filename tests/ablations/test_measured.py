"""Measures of an arm's trials: from the stored trial or from its epochs, censored trials apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablations.measured import Measured, by_trial, measured
from ablations.outcomes import DIVERGED, outcomes
from ablations.scales import Logarithm, LogOdds
from search.measures.catalogue import MEASURES, Measure
from search.measures.targets import Target
from search.store.store import Store
from search.trials.events import Epoch, Finished
from search.trials.record import TrialRecord
from search.trials.setup import Setup
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

EPOCHS_TO_30 = Target.of({"kind": "epochs_to", "error": 0.3}).measure
SECONDS_TO_30 = Target.of({"kind": "seconds_to", "error": 0.3}).measure
CURVES: dict[int, list[float]] = {0: [0.5, 0.3, 0.4, 0.2], 1: [0.6, 0.5, 0.4, 0.31]}
"""Validation errors by seed. Seed 0 reaches 30 % after its second epoch, and leaves it again; seed 1 never does."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.at(tmp_path)
    yield store
    store.close()


@pytest.fixture
def trials(trial: Trial, store: Store) -> list[TrialRecord]:
    """Two complete trials with these curves, and one that diverged; an epoch takes 2 s at seed 0, and 3 s at seed 1."""
    specs = [trial(seed=seed) for seed in range(3)]
    store.add(specs)
    for seed, errors in CURVES.items():
        for number, error in enumerate(errors, 1):
            store.write([Epoch(specs[seed].key, number, number, 0.1, 1 / number, error / 2, error, 2.0 + seed, 1.0)])
        end = Finished(specs[seed].key, "complete", "", 0.1 + seed / 10, errors[-1], seconds=9.0, top5_error=0.01)
        store.write([end])
    store.write([Finished(specs[2].key, "diverged", "loss is nan at step 1")])
    return store.records()


def setup_of(record: TrialRecord) -> Setup:
    return Setup.of(TrialSpec.of(record.spec))


def of(name: str | Measure, trials: list[TrialRecord], store: Store) -> Measured:
    return measured(MEASURES[name] if isinstance(name, str) else name, trials, by_trial(store.curves()))


def test_a_measure_of_the_trial_is_its_stored_value(trials: list[TrialRecord], store: Store) -> None:
    assert of("test_error", trials, store).values == {0: 0.1, 1: 0.2}
    assert of("top5_error", trials, store).values == {0: 0.01, 1: 0.01}
    assert of("seconds", trials, store) == Measured({0: 9.0, 1: 9.0})
    assert of("latency_ms", trials, store) == Measured(), "not measured, and not 0"


def test_a_measure_of_epochs_is_that_of_the_last_epoch(trials: list[TrialRecord], store: Store) -> None:
    assert of("train_error", trials, store).values == {0: 0.1, 1: 0.155}
    assert of("train_loss", trials, store).values == {0: 0.25, 1: 0.25}


def test_a_target_is_reached_at_the_end_of_the_first_epoch_with_the_error(
    trials: list[TrialRecord], store: Store
) -> None:
    assert of(EPOCHS_TO_30, trials, store).values == {0: 2.0}
    assert of(SECONDS_TO_30, trials, store).values == {0: 4.0}


def test_a_trial_that_never_reaches_the_target_needs_more_than_all_of_its_epochs(
    trials: list[TrialRecord], store: Store
) -> None:
    assert of(EPOCHS_TO_30, trials, store).beyond == {1: 5.0}
    assert of(SECONDS_TO_30, trials, store).beyond == {1: 12.0}


def test_epochs_that_were_lost_leave_a_gap_and_change_no_number(trials: list[TrialRecord], store: Store) -> None:
    curves = store.curves()
    curves = curves[~((curves["epoch"] == 1) | (curves["epoch"] == 3))]
    assert measured(EPOCHS_TO_30, trials, by_trial(curves)).values == {0: 2.0}


def test_a_censored_trial_ranks_worst_and_ties_with_one_that_diverged(trials: list[TrialRecord], store: Store) -> None:
    found = outcomes(
        {"a": setup_of(trials[0])}, trials, EPOCHS_TO_30, fail_above=0.5, images=None, curves=store.curves()
    )
    assert found.values == {"a": {0: 2.0, 1: 5.0, 2: 5.0}}
    assert set(found.censored["a"]) == {1, 2}
    assert found.failures == {"a": {2: DIVERGED}}
    assert found.first(1).values == {"a": {0: 2.0}}
    assert found.first(2).values == {"a": {0: 2.0, 1: 5.0}}


def test_a_trial_that_diverged_has_the_value_of_a_guess_if_there_is_one(
    trials: list[TrialRecord], store: Store
) -> None:
    setups = {"a": setup_of(trials[0])}

    def values(name: str) -> dict[int, float]:
        found = outcomes(setups, trials, MEASURES[name], fail_above=0.5, images=200, curves=store.curves())
        return dict(found.values["a"])

    assert values("train_error")[2] == 0.9
    assert values("top5_error")[2] == 0.5
    assert values("train_loss")[2] == pytest.approx(2.302585)
    assert values("seconds") == {0: 9.0, 1: 9.0}, "the time of a trial that stopped early says nothing"


def test_arms_of_which_all_trials_diverged_tie(trials: list[TrialRecord], store: Store) -> None:
    lost = [record for record in trials if record.status == "diverged"]
    found = outcomes({"a": setup_of(lost[0])}, lost, EPOCHS_TO_30, fail_above=0.5, images=None, curves=store.curves())
    assert found.values == {"a": {2: 1.0}}
    assert found.always_diverges("a")


def test_a_value_of_0_has_a_logarithm(trials: list[TrialRecord], store: Store) -> None:
    fast = [replace(record, seconds=0.0) for record in trials]
    found = outcomes({"a": setup_of(fast[0])}, fast, MEASURES["seconds"], fail_above=0.5, images=None)
    assert math.isfinite(found.scale.forward(np.array(list(found.values["a"].values()))).sum())


def test_shares_are_compared_as_log_odds_of_images_and_other_measures_as_logarithms(
    trials: list[TrialRecord], store: Store
) -> None:
    setups = {"a": setup_of(trials[0])}
    by_name = {
        name: outcomes(setups, trials, MEASURES[name], fail_above=0.5, images=200, curves=store.curves()).scale
        for name in MEASURES
    }
    assert all(isinstance(scale, LogOdds) == (MEASURES[name].split is not None) for name, scale in by_name.items())
    epochs = outcomes(setups, trials, EPOCHS_TO_30, fail_above=0.5, images=None, curves=store.curves()).scale
    assert isinstance(epochs, Logarithm)
    assert epochs.precision == pytest.approx(1 / 12**0.5 / 2), "whole epochs, around 2"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 0.99))
def test_the_first_epoch_below_a_target_is_never_later_for_a_higher_target(errors: list[float], target: float) -> None:
    record = TrialRecord(
        key="0" * 16, architecture="1" * 16, seed=0, spec={}, depth=1, params=1, macs=1, activations=1, proposal=None,
        aside=False, status="complete", reason="", traceback="", attempts=1, job=None, together=None, test_error=0.1,
        validation_error=errors[-1], top5_error=None, latency_ms=None, seconds=1.0, host=None, device=None,
        started=None, finished=None,
    )  # fmt: skip
    curves = pd.DataFrame({"epoch": range(1, len(errors) + 1), "validation_error": errors})
    curves = curves.assign(key="0" * 16, seconds=1.0)

    def least(error: float) -> float:
        found = measured(Target.of({"kind": "epochs_to", "error": error}).measure, [record], by_trial(curves))
        return {**found.values, **found.beyond}[0]

    assert least(target) >= least((target + 1) / 2)
    assert 1 <= least(target) <= len(errors) + 1
