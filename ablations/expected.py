"""What a study can expect before its first trial: the error of an arm that trains, and its spread over seeds.

Errors are shares of images: the test error, and other measures of the catalogue with a split.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from statistics import fmean, median
from types import MappingProxyType

import numpy as np

from ablations.moderated import Moderated
from ablations.outcomes import Outcomes, outcomes
from ablations.scales import LogOdds
from ablations.study import Ablation
from resnet_space.errors import InputError
from search.measures.catalogue import Measure
from search.store import membership
from search.store.stored import StoredRun
from search.trials.setup import Setup
from search.trials.study import Study
from search.trials.trial import TrialSpec


@dataclass(frozen=True)
class Typical:
    """The error of a typical network on a data set, and its standard deviation over seeds, as fractions."""

    error: float
    std: float
    source: str


TYPICAL: Mapping[str, Typical] = MappingProxyType(
    {
        "digits": Typical(
            0.0167, 0.0059, "docs/results.md, shortcuts: identity, a ResNet-56 of half the width, 10 epochs, 5 seeds"
        ),
        # 1603.05027 has the same network's median of 5 runs, also 6.61 %.
        "cifar10": Typical(0.0661, 0.0016, "1512.03385, table 6: ResNet-110, 5 runs"),
        "cifar100": Typical(0.2268, 0.0022, "1603.05027, table 4: pre-activation ResNet-1001, 5 runs"),
        "fashion-mnist": Typical(0.0439, 0.0008, "1708.04896: ResNet-20 without random erasing, 5 runs"),
    }
)
"""By the name of the data set. Other networks and other recipes have other errors: a pilot run is better."""


@dataclass(frozen=True)
class Expected:
    """The expected error of an arm, and its spread over seeds on the log-odds scale, where arms are alike.

    An arm with error p has the variance max(spread², b) there, where b is the variance by sampling the images alone. It
    is a lower bound: differences that are smaller than what other images would give are no property of the arms.
    """

    error: float
    """Of an arm without an error in `errors`, a fraction."""
    spread: float
    """A standard deviation over seeds, without the lower bound."""
    images: int
    """The number of images that errors are a share of."""
    source: str
    correlation: float = 0.0
    """Of different arms at the same seed."""
    errors: Mapping[str, float] = field(default_factory=dict)
    """Errors by arm, of arms whose networks have results."""

    @property
    def scale(self) -> LogOdds:
        return LogOdds(self.images)

    def error_of(self, arm: str) -> float:
        return self.errors.get(arm, self.error)

    def variance(self, error: float) -> float:
        """Return the variance over seeds of the transformed error of an arm."""
        return max(self.spread**2, self.scale.sampling(np.array([error])))

    def std(self, error: float) -> float:
        """Return the standard deviation over seeds of the error of an arm, by the delta method."""
        return sqrt(self.variance(error)) * error * (1 - error)

    def sampled(self, error: float) -> bool:
        """Whether the spread of an arm with this error is that of sampling the images alone."""
        return self.variance(error) > self.spread**2


TABULATED = ("test_error", "validation_error")
"""The measures that `TYPICAL` is about. No paper has the spread of validation errors, which should be alike."""


def from_table(dataset: str, measure: Measure, images: int) -> Expected | None:
    """Return what is expected of a measure on a data set by the shipped table; None if the table does not have it."""
    row = TYPICAL.get(dataset)
    if row is None or measure.name not in TABULATED:
        return None
    return Expected(row.error, row.std / (row.error * (1 - row.error)), images, f"a typical network ({row.source})")


def from_run(
    study: Ablation, measure: Measure, setups: Mapping[str, Setup], images: int, stored: StoredRun
) -> Expected | None:
    """Return what is expected by the results of a run: a pilot, or the study's own first trials.

    Only networks that trained, with two seeds or more, say something about the spread: it is the median over networks
    of the standard deviations by `Moderated`. The correlation is the lower end of its interval, mostly 0. None
    without such networks.

    Args:
        measure: a share of images.
        setups: the setups of the study's arms, which find the arms that the run has too: of the same network, and
            with the same changes of the recipe and the data of the study.
        images: the number of images that the study's errors are a share of.

    Raises:
        InputError: the run has another data set, or no trials.
    """
    path = stored.folder.path
    before, now = stored.study.dataset, study.dataset
    if before.name != now.name:
        raise InputError(
            f"{path}: its data set is {before.name!r}, and the study's is {now.name!r}; use a run on the same"
        )
    _, own, _ = membership.own_trials(stored.study, stored.folder, stored.store)
    split = ((stored.folder.data or {}).get("splits", {}).get(measure.split) or {}).get("images")
    examples = {record.setup: record for record in own}
    known = {key: Setup.of(TrialSpec.of(record.spec)) for key, record in examples.items()}
    curves = stored.store.curves() if measure.curve else None
    found = outcomes(known, own, measure, fail_above=study.fail_above, images=split, curves=curves)
    trained = _trained(found)
    if not trained:
        return None
    shared = Moderated(trained, found.scale)
    # Errors of 0 happen by chance on few images, and have no spread.
    least = 0.5 / images
    errors = {key: max(fmean(values.values()), least) for key, values in trained.items()}
    seeds, nets = sum(map(len, trained.values())), len({known[key].net.key for key in trained})
    other = "" if stored.study.recipe == study.recipe else ", with another recipe"
    there = {_changes(known[key], stored.study): error for key, error in errors.items()}
    here = {arm: _changes(setup, study) for arm, setup in setups.items()}
    return Expected(
        error=median(errors.values()),
        spread=median(shared.std(key, key) for key in trained) / sqrt(2),
        images=images,
        source=f"{seeds} trials of {nets} network{'s' * (nets > 1)} in {path}{other}",
        correlation=shared.correlation.least,
        errors={arm: there[changes] for arm, changes in here.items() if changes in there},
    )


def _changes(setup: Setup, study: Study) -> tuple[str, str]:
    """Return the network, and how its recipe and data differ from those of the study, for comparison."""
    return setup.net.key, json.dumps(setup.changes_from(*study.trainings[0]), sort_keys=True)


def _trained(found: Outcomes) -> dict[str, Mapping[int, float]]:
    """Return the results of networks that train at two seeds or more, without their failures."""
    return {
        key: values
        for key, values in found.trained.values.items()
        if len(values) > 1 and len(found.failures[key]) < len(found.values[key])
    }
