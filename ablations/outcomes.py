"""The outcomes of an ablation's trials: a value for every trial that says something about its arm.

A trial that diverged is an outcome of its arm, and so is one that failed to train: left out, an arm would look better
the more often it fails. A trial that failed by a fault of the machine, was stopped or has not ended is missing data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf, sqrt
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ablations.effects import Values
from ablations.measured import Curves, by_trial, measured
from ablations.scales import Logarithm, LogOdds, Scale, images_of
from search.measures.catalogue import MEASURES, Measure
from search.trials.record import TrialRecord
from search.trials.setup import Setup

if TYPE_CHECKING:
    import pandas as pd

DIVERGED, FAILED_TO_TRAIN = "diverged", "failed to train"
LEAST = 1e-12
"""Smaller values of measures that are compared as logarithms are taken as this one."""
GAP = 2.0
"""Where the errors of one arm, in order, increase by more than this factor, those above failed to train."""


@dataclass(frozen=True)
class Outcomes:
    """The values of a measure for every arm, by seed, with those of trials that diverged."""

    values: Mapping[str, Values]
    failures: Mapping[str, Mapping[int, str]]
    """The seeds at which an arm `DIVERGED` or `FAILED_TO_TRAIN`, by arm."""
    scale: Scale
    """The scale on which values can be compared."""
    measure: Measure = MEASURES["test_error"]
    censored: Mapping[str, Values] = field(default_factory=dict)
    """Trials of which only a bound is known, by arm: those that never reached the error of the measure."""

    def first(self, seeds: int) -> Outcomes:
        """Return the outcomes with seeds below `seeds`."""

        def cut(by_arm: Mapping[str, Mapping[int, Any]]) -> dict[str, dict[int, Any]]:
            return {arm: {seed: each for seed, each in found.items() if seed < seeds} for arm, found in by_arm.items()}

        censored = cut(self.censored)
        known = {
            arm: {seed: each for seed, each in found.items() if seed not in censored.get(arm, {})}
            for arm, found in cut(self.values).items()
        }
        values = _ranked(known, censored) if any(censored.values()) else known
        return replace(self, values=values, failures=cut(self.failures), censored=censored)

    @property
    def trained(self) -> Outcomes:
        """The outcomes without failures; an arm that failed at every seed keeps its values."""
        kept = {
            arm: {seed: value for seed, value in values.items() if seed not in self.failures[arm]} or values
            for arm, values in self.values.items()
        }
        return replace(self, values=kept)

    def mixed(self, arm: str) -> bool:
        """Whether an arm failed at some seeds and trained at others, so that a mean over both describes neither."""
        return 0 < len(self.failures[arm]) < len(self.values[arm])

    def always_diverges(self, arm: str) -> bool:
        """Whether an arm has no complete trial: all its trials diverged, or it has none."""
        return all(self.failures[arm].get(seed) == DIVERGED for seed in self.values[arm])

    def rate(self, arm: str) -> float:
        """Return the share of an arm's seeds at which it failed; 0 without results."""
        return len(self.failures[arm]) / max(len(self.values[arm]), 1)


def outcomes(
    setups: Mapping[str, Setup],
    records: Iterable[TrialRecord],
    measure: Measure,
    *,
    fail_above: float,
    images: int | None,
    curves: pd.DataFrame | None = None,
) -> Outcomes:
    """Return the outcomes of trials by a measure, for arms by name.

    A trial that diverged has the value of a guess, such as the error 1 - 1 / classes, and never reaches an error; see
    `failed_to_train` for the others that fail. `images` is the number of images that errors are a share of; if None, it
    is found from the errors. `curves` is `Store.curves()`, for measures of epochs.
    """
    keys = {name: setup.key for name, setup in setups.items()}
    classes = {keys[name]: setup.classes for name, setup in setups.items()}
    trials: dict[str, list[TrialRecord]] = {key: [] for key in classes}
    for record in sorted(records, key=lambda record: record.seed):
        if record.status in ("complete", "diverged") and record.setup in trials:
            trials[record.setup].append(record)
    epochs = by_trial(curves) if curves is not None and measure.source == "epochs" else {}
    found = {key: _of_setup(classes[key], own, measure, fail_above, epochs) for key, own in trials.items()}
    seen = [value for each in found.values() for value in each.values.values()]
    values = _ranked(
        {key: each.values for key, each in found.items()}, {key: each.censored for key, each in found.items()}
    )
    return Outcomes(
        values={name: values[key] for name, key in keys.items()},
        failures={name: found[key].failures for name, key in keys.items()},
        scale=_scale(measure, seen, images),
        measure=measure,
        censored={name: found[key].censored for name, key in keys.items()},
    )


@dataclass(frozen=True)
class _OfSetup:
    """The outcomes of one setup, by seed; see `Outcomes`."""

    values: dict[int, float]
    censored: dict[int, float]
    failures: dict[int, str]


def _of_setup(
    classes: int, trials: Sequence[TrialRecord], measure: Measure, fail_above: float, curves: Curves
) -> _OfSetup:
    known = measured(measure, trials, curves)
    values, censored, failures = dict(known.values), dict(known.beyond), dict[int, str]()
    for seed in (trial.seed for trial in trials if trial.status == "diverged"):
        if measure.guess is not None:
            values[seed] = measure.guess(classes)
        elif measure.until is not None:
            censored[seed] = 0.0
        failures[seed] = DIVERGED
    errors = {
        trial.seed: error
        for trial in trials
        # A trial without a test error is judged by its other one.
        if (error := trial.test_error if trial.test_error is not None else trial.validation_error) is not None
        and trial.status == "complete"
    }
    failures |= dict.fromkeys(failed_to_train(errors, fail_above), FAILED_TO_TRAIN)
    failures = {seed: how for seed, how in failures.items() if seed in values or seed in censored}
    if measure.split is None:
        values = {seed: max(value, LEAST) for seed, value in values.items()}
    return _OfSetup(dict(sorted(values.items())), censored, failures)


def _ranked(values: Mapping[str, Values], censored: Mapping[str, Values]) -> dict[str, Values]:
    """Return all values by arm and seed. Censored trials get the largest value or bound of all arms: they rank worst.

    So a difference from an arm with censored trials is a lower bound.
    """
    if not any(censored.values()):
        return dict(values)
    # Nothing is known if all trials diverged; any positive value lets them tie.
    worst = max(each for side in (values, censored) for by_seed in side.values() for each in by_seed.values()) or 1.0
    return {arm: dict(sorted({**own, **dict.fromkeys(censored[arm], worst)}.items())) for arm, own in values.items()}


def _scale(measure: Measure, seen: Sequence[float], images: int | None) -> Scale:
    if measure.split is not None:
        return LogOdds(images or images_of(seen))
    # A rounded value has the variance of a uniform number: step² / 12.
    rounding = measure.step / sqrt(12) / fmean(seen) if seen and measure.step else 0.0
    return Logarithm(max(rounding, Logarithm().precision))


def failed_to_train(errors: Values, fail_above: float) -> list[int]:
    """Return the seeds at which an arm failed to train, from its test errors.

    These are errors above `fail_above` after a gap in the arm's errors, or all if even the smallest is above it. Errors
    without a gap are of one kind: an arm whose errors vary widely around `fail_above` has no failures of single seeds.
    """
    ordered = sorted(errors.values())
    gaps = [error for before, error in pairwise(ordered) if error > max(fail_above, GAP * before)]
    least = min([*gaps, *ordered[:1]] if ordered and ordered[0] > fail_above else gaps, default=inf)
    return [seed for seed, error in errors.items() if error >= least]
