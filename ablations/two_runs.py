"""Compare two runs: differences on the networks that both have, and distributions of errors at equal complexity."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablations import effects
from ablations.effects import Difference
from ablations.predicted_arms import PredictedArms, on_images_like_these
from ablations.two_way import TwoWay
from resnet_space.errors import InputError
from search.files.folder import differences
from search.store import membership
from search.store.stored import StoredRun
from search.trials.record import TrialRecord
from search.trials.setup import Setup, changes_text
from search.trials.study import Study
from search.trials.trial import TrialSpec

MACS_TOLERANCE = 0.1
"""Networks of two runs have equal complexity if their MACs differ by at most this fraction."""


@dataclass(frozen=True)
class ComparedRun:
    """One of the two runs: its complete trials, by network and seed. Errors are those of the test split."""

    path: Path
    study: Study
    trials: pd.DataFrame
    """`Store.results` of the run's own trials, with a column `network`: the key of the network, and how its recipe and
    data differ from those of the study."""
    arms: Mapping[str, str]
    """The names of networks by that column, if the run is an ablation."""
    fingerprint: str
    """The fingerprint of the data."""
    others: int
    """The number of stored trials that do not belong to the run; they are in no result."""
    predicted: PredictedArms | None = None
    """The predictions of the networks that both runs have, by key; None before these are known."""

    @classmethod
    def of(cls, stored: StoredRun) -> ComparedRun:
        """Read one of the two runs, without predictions.

        Raises:
            InputError: the run has no complete trial.
        """
        folder, study, store = stored
        own = membership.identities(study, folder, store)
        trials = store.results(own).dropna(subset="test_error")
        if trials.empty:
            raise InputError(f"{folder.path}: no complete trial to compare")
        records = own.own_records(store.records())
        networks = {record.setup: _network(record, study) for record in _examples(records).values()}
        shown = (trials["architecture"] + " " + trials["training"]).map(networks)
        arms = stored.arms(sorted(set(trials["architecture"])))
        named = {networks[setup.key]: arm for arm, setup in reversed([*arms.items()]) if setup.key in networks}
        others = store.count_foreign(membership.all_identities(study, folder, store))
        fingerprint = own.own[0].fingerprint
        return cls(folder.path, study, trials.assign(network=shown), named, fingerprint, others)

    def with_predictions(self, stored: StoredRun, networks: Collection[str]) -> ComparedRun:
        """Return the run with the predictions of these networks, by key."""
        folder, study, store = stored
        own = membership.own_trials(study, folder, store).records
        complete = [record for record in own if record.status == "complete"]
        named = {_network(record, study): record for record in _examples(complete).values()}
        setups = {key: Setup.of(TrialSpec.of(record.spec)) for key, record in named.items() if key in networks}
        wanted = {setup.key for setup in setups.values()}
        records = [record for record in complete if record.setup in wanted]
        found = PredictedArms.of(
            setups,
            records,
            store.predictions([record.key for record in records]),
            by_seed=study.dataset.split == "seed",
        )
        return replace(self, predicted=found)

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def networks(self) -> pd.DataFrame:
        """One row per network: its MACs, and its mean test error."""
        return self.trials.groupby("network").agg(macs=("macs", "first"), error=("test_error", "mean"))

    def by_seed(self, network: str) -> dict[int, float]:
        """Return the test errors of a network by seed."""
        trials = self.trials[self.trials["network"] == network]
        return dict(zip(trials["seed"].astype(int), trials["test_error"], strict=True))


def _examples(records: Iterable[TrialRecord]) -> dict[str, TrialRecord]:
    """Return one trial of each setup."""
    return {record.setup: record for record in records}


def _network(record: TrialRecord, study: Study) -> str:
    """Return the key of a trial's network, and how its recipe and data differ from those of the study."""
    changes = Setup.of(TrialSpec.of(record.spec)).changes_from(*study.trainings[0])
    return f"{record.architecture} ({changes_text(changes)})" if changes else record.architecture


@dataclass(frozen=True)
class TwoSamples:
    """The errors of equally many networks of each run, paired by MACs, and a test of equal distributions."""

    first: list[float]
    second: list[float]
    statistic: float | None
    """Kolmogorov-Smirnov's D, the largest distance of the two distribution functions; None below two networks."""
    p: float | None


@dataclass(frozen=True)
class TwoRuns:
    """A comparison: `second` is compared with `first`."""

    first: ComparedRun
    second: ComparedRun

    @classmethod
    def of(cls, first: StoredRun, second: StoredRun) -> TwoRuns:
        """Read both runs. Raises `InputError` if one of them has no complete trial."""
        both = cls(ComparedRun.of(first), ComparedRun.of(second))
        return cls(both.first.with_predictions(first, both.common), both.second.with_predictions(second, both.common))

    @cached_property
    def changed(self) -> list[tuple[str, Any, Any]]:
        """(path, value in the first, value in the second) for all differences of the studies except their arms."""
        before, now = (
            side.study.model_dump(mode="json", exclude={"arms", "factors"}) for side in (self.first, self.second)
        )
        prints = {"data fingerprint": self.first.fingerprint}, {"data fingerprint": self.second.fingerprint}
        return [*differences(before, now), *differences(*prints)]

    def named(self, network: str) -> str:
        """Return a network's name for people: its arm in either run, or its key."""
        return self.second.arms.get(network) or self.first.arms.get(network) or network

    @cached_property
    def common(self) -> list[str]:
        """The keys of the networks that both runs have."""
        return sorted(set(self.first.networks.index) & set(self.second.networks.index))

    def difference(self, network: str) -> Difference:
        """Return the test error in the second run minus that in the first, over pairs of seeds."""
        before, now = self.first.by_seed(network), self.second.by_seed(network)
        return effects.difference(now, before, planned=sorted(set(before) | set(now)))

    def image_interval(self, network: str) -> TwoWay | None:
        """Return the intervals of `difference` on these test images and on images like these.

        None if the networks of the two runs were tested on different images, or if no predictions are stored.
        """
        before, now = self.first.predicted, self.second.predicted
        if before is None or now is None or not before.split or before.split != now.split:
            return None
        if network not in before.arms or network not in now.arms:
            return None
        return on_images_like_these(self.difference(network), now.arms[network], before.arms[network])

    @cached_property
    def overall(self) -> Difference:
        """The difference over common networks, each of which is one pair."""
        sides = [
            dict(enumerate(side.networks["error"].loc[self.common].astype(float).tolist()))
            for side in (self.second, self.first)
        ]
        return effects.difference(sides[0], sides[1], planned=range(len(self.common)))

    @cached_property
    def at_equal_complexity(self) -> TwoSamples:
        """The distributions of errors over networks of equal MACs, as design spaces are compared in 2003.13678.

        Networks are paired to minimise the sum of |log MACs - log MACs|; MACs of a pair differ by at most
        `MACS_TOLERANCE`, and networks without a partner are left out. The test is the exact Kolmogorov-Smirnov test.
        """
        from scipy.stats import ks_2samp

        first, second = self.first.networks, self.second.networks
        pairs = pair_by_macs(first["macs"].tolist(), second["macs"].tolist())
        first_errors = [float(first["error"].iloc[index]) for index, _ in pairs]
        second_errors = [float(second["error"].iloc[index]) for _, index in pairs]
        if len(pairs) < 2:
            return TwoSamples(first_errors, second_errors, None, None)
        found = ks_2samp(first_errors, second_errors)
        return TwoSamples(first_errors, second_errors, float(found.statistic), float(found.pvalue))


def pair_by_macs(first: Sequence[float], second: Sequence[float]) -> list[tuple[int, int]]:
    """Return the indices of as many pairs of equal MACs as possible, with the smallest total distance."""
    from scipy.optimize import linear_sum_assignment

    if not len(first) or not len(second):
        return []
    apart = np.abs(np.log(np.asarray(first, dtype=float))[:, None] - np.log(np.asarray(second, dtype=float))[None, :])
    too_far = apart > np.log1p(MACS_TOLERANCE)
    # A pair that is too far apart costs more than any assignment without it.
    rows, columns = linear_sum_assignment(np.where(too_far, 1e6, apart))
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if not too_far[i, j]]
