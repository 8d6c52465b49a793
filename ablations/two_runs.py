"""Two runs side by side: what became of the networks that both have, and how errors lie at equal complexity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablations import effects
from ablations.effects import Difference
from resnet_space.errors import InputError
from search.files.folder import differences
from search.store import membership
from search.store.stored import StoredRun
from search.trials.study import Study

ALIKE = 0.1
"""Networks of two runs are of equal complexity if their MACs differ by no more than this, as a fraction."""


@dataclass(frozen=True)
class Side:
    """One of two runs: its complete trials, by network and seed. Errors are of the test split."""

    path: Path
    study: Study
    trials: pd.DataFrame
    """`Store.results` of the run's own trials."""
    arms: Mapping[str, str]
    """Names of networks by key, where an ablation gave them one."""
    fingerprint: str
    """Of the data."""
    others: int
    """Stored trials that are not of the run, and in no number."""

    @classmethod
    def of(cls, stored: StoredRun) -> Side:
        """One of the two.

        Raises:
            InputError: it has no complete trial.
        """
        folder, study, store = stored
        own = membership.identity(study.recipe, folder, store)
        trials = store.results(own).dropna(subset="test_error")
        if trials.empty:
            raise InputError(f"{folder.path}: no complete trial to compare")
        arms = stored.arms(sorted(set(trials["architecture"])))
        named = {key: arm for arm, key in reversed(arms.items())}
        return cls(folder.path, study, trials, named, own.fingerprint, store.count_foreign(own))

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def networks(self) -> pd.DataFrame:
        """One row a network: its MACs, and its mean test error."""
        return self.trials.groupby("architecture").agg(macs=("macs", "first"), error=("test_error", "mean"))

    def by_seed(self, network: str) -> dict[int, float]:
        mine = self.trials[self.trials["architecture"] == network]
        return dict(zip(mine["seed"].astype(int), mine["test_error"], strict=True))


@dataclass(frozen=True)
class TwoSamples:
    """Errors of as many networks of each run, paired off by their MACs, and whether they are drawn alike."""

    first: list[float]
    second: list[float]
    statistic: float | None
    """Kolmogorov-Smirnov's D, the greatest distance of the two distribution functions; None below two networks."""
    p: float | None


@dataclass(frozen=True)
class TwoRuns:
    """A comparison: `second` is compared with `first`."""

    first: Side
    second: Side

    @classmethod
    def of(cls, first: StoredRun, second: StoredRun) -> TwoRuns:
        """Raises `InputError` if one of them has no complete trial."""
        return cls(Side.of(first), Side.of(second))

    @cached_property
    def changed(self) -> list[tuple[str, Any, Any]]:
        """(path, in the first, in the second) of what the studies' files have otherwise, but for their arms."""
        before, now = (
            side.study.model_dump(mode="json", exclude={"arms", "factors"}) for side in (self.first, self.second)
        )
        prints = {"data fingerprint": self.first.fingerprint}, {"data fingerprint": self.second.fingerprint}
        return [*differences(before, now), *differences(*prints)]

    def named(self, network: str) -> str:
        """A network's name for people: its arm in either run, or its key."""
        return self.second.arms.get(network) or self.first.arms.get(network) or network

    @cached_property
    def common(self) -> list[str]:
        """Networks that both runs have."""
        return sorted(set(self.first.networks.index) & set(self.second.networks.index))

    def difference(self, network: str) -> Difference:
        """Test error in the second run less that in the first, over pairs of seeds."""
        before, now = self.first.by_seed(network), self.second.by_seed(network)
        return effects.difference(now, before, planned=sorted(set(before) | set(now)))

    @cached_property
    def overall(self) -> Difference:
        """The mean over common networks, each a pair."""
        sides = [
            dict(enumerate(side.networks["error"].loc[self.common].astype(float).tolist()))
            for side in (self.second, self.first)
        ]
        return effects.difference(sides[0], sides[1], planned=range(len(self.common)))

    @cached_property
    def at_equal_complexity(self) -> TwoSamples:
        """Distributions of errors as design spaces are compared in 2003.13678, over networks of equal MACs.

        Networks are paired off so that the sum of |log MACs - log MACs| is least, none with one that differs by more
        than `ALIKE`; what finds no partner is left out. The test is Kolmogorov and Smirnov's, exact.
        """
        from scipy.stats import ks_2samp

        first, second = self.first.networks, self.second.networks
        pairs = paired_off(first["macs"].tolist(), second["macs"].tolist())
        ours = [float(first["error"].iloc[place]) for place, _ in pairs]
        theirs = [float(second["error"].iloc[place]) for _, place in pairs]
        if len(pairs) < 2:
            return TwoSamples(ours, theirs, None, None)
        found = ks_2samp(ours, theirs)
        return TwoSamples(ours, theirs, float(found.statistic), float(found.pvalue))


def paired_off(first: Sequence[float], second: Sequence[float]) -> list[tuple[int, int]]:
    """Places of as many pairs of equal complexity as there are, nearest ones together."""
    from scipy.optimize import linear_sum_assignment

    if not len(first) or not len(second):
        return []
    apart = np.abs(np.log(np.asarray(first, dtype=float))[:, None] - np.log(np.asarray(second, dtype=float))[None, :])
    too_far = apart > np.log1p(ALIKE)
    # A pair that is too far apart costs more than any way round it.
    rows, columns = linear_sum_assignment(np.where(too_far, 1e6, apart))
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if not too_far[i, j]]
