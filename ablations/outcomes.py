"""The outcomes of an ablation's trials: a value for every trial that says something about its arm.

A trial that diverged is an outcome of its arm, and so is one that failed to train: left out, an arm would look better
the more often it fails. A trial that failed by a fault of the machine, was stopped or has not ended is missing data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ablations.effects import Values
from ablations.scales import LogOdds, Scale, images_of
from resnet_space import Architecture
from search.trials.record import TrialRecord

DIVERGED, FAILED_TO_TRAIN = "diverged", "failed to train"
FAR = 3.0
"""Errors of one arm that differ by a larger factor are of two kinds: trained, and failed to train."""


@dataclass(frozen=True)
class Outcomes:
    """The values of a measure for every arm, by seed, with those of trials that diverged."""

    values: Mapping[str, Values]
    failures: Mapping[str, Mapping[int, str]]
    """The seeds at which an arm `DIVERGED` or `FAILED_TO_TRAIN`, by arm."""
    scale: Scale
    """The scale on which values can be compared."""

    def first(self, seeds: int) -> Outcomes:
        """Return the outcomes with seeds below `seeds`."""

        def cut(by_arm: Mapping[str, Mapping[int, Any]]) -> dict[str, dict[int, Any]]:
            return {arm: {seed: each for seed, each in found.items() if seed < seeds} for arm, found in by_arm.items()}

        return replace(self, values=cut(self.values), failures=cut(self.failures))

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
    nets: Mapping[str, Architecture],
    records: Iterable[TrialRecord],
    column: str,
    *,
    fail_above: float,
    images: int | None,
) -> Outcomes:
    """Return the outcomes of trials by the measure in a column of their records, for arms by name.

    A trial that diverged has the error of a guess, 1 - 1 / classes; see `failed_to_train` for the others that fail.
    `images` is the number of images that errors are a share of; if None, it is found from the errors.
    """
    values: dict[str, dict[int, float]] = {}
    errors: dict[str, dict[int, float]] = {}
    failures: dict[str, dict[int, str]] = {}
    guesses = {net.key: 1 - 1 / net.classes for net in nets.values()}
    for record in sorted(records, key=lambda record: record.seed):
        net, seed = record.architecture, record.seed
        if record.status == "diverged" and net in guesses:
            values.setdefault(net, {})[seed] = guesses[net]
            failures.setdefault(net, {})[seed] = DIVERGED
        elif record.status == "complete" and (value := getattr(record, column)) is not None:
            values.setdefault(net, {})[seed] = value
            errors.setdefault(net, {})[seed] = value if record.test_error is None else record.test_error
    for net, found in errors.items():
        failures.setdefault(net, {}).update(dict.fromkeys(failed_to_train(found, fail_above), FAILED_TO_TRAIN))
    seen = [value for by_seed in values.values() for value in by_seed.values()]
    return Outcomes(
        values={name: values.get(net.key, {}) for name, net in nets.items()},
        failures={name: failures.get(net.key, {}) for name, net in nets.items()},
        scale=LogOdds(images or images_of(seen)),
    )


def failed_to_train(errors: Values, fail_above: float) -> list[int]:
    """Return the seeds at which an arm failed to train, from its test errors.

    These are errors above `fail_above` that are more than `FAR` times the arm's smallest error, or all if even the
    smallest is above it. An arm whose errors lie close together around `fail_above` has no failures of single seeds.
    """
    least = min(errors.values(), default=0.0)
    return [
        seed for seed, error in errors.items() if error > fail_above and (least > fail_above or error > FAR * least)
    ]
