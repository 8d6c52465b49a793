"""What a search has found: its front, and how it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resnet_space import Architecture, Space
from resnet_space.errors import InputError
from search.exploring.history import recall
from search.exploring.study import Search
from search.files.folder import RunFolder
from search.fronts.dominance import check_reference, hypervolume_trace
from search.fronts.front import Point, front
from search.fronts.networks import networks
from search.fronts.objectives import OBJECTIVES
from search.running.liveness import Presence
from search.samplers.sampler import Outcome
from search.samplers.stopping import Saved, saved
from search.store import membership
from search.store.store import Store
from search.trials.record import TrialRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SearchRun:
    """A search's folder, read: the study, and its trials as they are stored now."""

    study: Search
    folder: RunFolder
    front: list[Point]
    nets: Mapping[str, Architecture]
    """The networks on the front, by key."""
    records: list[TrialRecord]
    results: pd.DataFrame
    curves: pd.DataFrame
    counts: Mapping[str, int]
    reasons: list[tuple[str, str, int]]
    others: int
    """Stored trials that are not of this run, and in none of the above."""

    @classmethod
    def of(cls, study: Search, folder: RunFolder, store: Store) -> SearchRun:
        """What is stored, also while it runs.

        Raises:
            InputError: no stored trial is of the run.
        """
        own, mine, others = membership.own_trials(study.recipe, folder, store)
        results = store.results(own)
        points = front(
            results,
            study.objectives,
            seeds=study.confirmation_seeds,
            where=study.result_constraint,
            describe=store.describe,
        )
        nets = {key: Architecture.of(data) for key, data in store.architectures([p.key for p in points]).items()}
        records = [record for record in mine if not record.aside]
        standing, curves = membership.run_status(mine, store.run_status()), store.curves()
        curves = curves[curves["key"].isin({record.key for record in mine})]
        counts = Presence.of(folder, standing).counts
        return cls(study, folder, points, nets, records, results, curves, counts, standing.reasons, others)

    @property
    def failed(self) -> bool:
        """Whether a trial failed, or not one came to its end."""
        return bool(self.counts["failed"]) or not self.counts["complete"]

    @cached_property
    def space(self) -> Space:
        """The space as the data make it: that of the networks that are stored."""
        some = self.records[0].network
        return self.study.bounded(some.input_shape, some.classes)

    def write_optuna(self) -> str:
        """Write the search as an Optuna storage, `optuna.db` in its folder, for optuna-dashboard; its URL."""
        from search.samplers.optuna_sampler import write_storage

        history = recall(self.study, self.space, self.records).history
        told = [(proposal, end or Outcome("running")) for proposal, end in history]
        url = f"sqlite:///{self.folder.path / 'optuna.db'}"
        write_storage(url, self.study.name, self.space, self.study.objectives, told)
        return url

    @cached_property
    def searched(self) -> list[TrialRecord]:
        """The trials that the sampler asked for, in that order; without those that confirm."""
        asked = [record for record in self.records if record.proposal]
        return sorted(asked, key=lambda record: (record.proposal or {}).get("number", 0))

    @cached_property
    def networks(self) -> pd.DataFrame:
        """One row a network that has a complete trial: means and spreads over seeds."""
        return networks(self.results, self.study.confirmation_seeds)

    @cached_property
    def stopped_at(self) -> dict[str, int]:
        """The epoch behind which each pruned trial was stopped, by key."""
        last = self.curves.groupby("key")["epoch"].max().to_dict()
        return {r.key: int(last.get(r.key, 0)) for r in self.searched if r.status == "pruned"}

    @cached_property
    def saved(self) -> Saved:
        """What early stopping saved of the epochs that the search's trials would have taken."""
        ends = {r.key for r in self.searched if r.status == "complete"}
        full = self.curves[self.curves["key"].isin(ends)].groupby("key")["epoch"].max()
        whole = int(full.max()) if len(full) else max(self.stopped_at.values(), default=0)
        return saved([*self.stopped_at.values(), *full.astype(int)], whole)

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Objectives of the search's trials in turn, (n, m); NaN where one has no value. Seeds count one by one."""
        rows = [
            [
                np.nan if r.status != "complete" or (value := getattr(r, OBJECTIVES[name].column)) is None else value
                for name in self.study.objectives
            ]
            for r in self._begun
        ]
        return np.array(rows, dtype=float).reshape(-1, len(self.study.objectives))

    @cached_property
    def trace(self) -> NDArray[np.float64]:
        """Hypervolume after each trial that was begun, as a share of the box between zero and the reference point."""
        corner = [(self.study.reference or {})[name] for name in self.study.objectives]
        return hypervolume_trace(self.values, corner) / prod(corner)

    @property
    def ended(self) -> dict[str, list[int]]:
        """Which of the trials that were begun did not come to their end, counted from 1, by status."""
        found = {
            status: [number for number, record in enumerate(self._begun, 1) if record.status == status]
            for status in ("pruned", "diverged", "failed")
        }
        return {status: numbers for status, numbers in found.items() if numbers}

    @cached_property
    def importance(self) -> pd.DataFrame:
        """What each axis matters for each objective; see `search.exploring.importance`."""
        from search.exploring.importance import importance

        whole = [(r, values) for r, values in zip(self._begun, self.values, strict=True) if not np.isnan(values).any()]
        assignments = [(record.proposal or {})["assignment"] for record, _ in whole]
        columns = {name: [v[i] for _, v in whole] for i, name in enumerate(self.study.objectives)}
        for name in columns:
            if OBJECTIVES[name].known_before:
                # Costs go over decades, and are products of what the axes say.
                columns[name] = np.log10(columns[name]).tolist()
        return importance(self.space, assignments, columns)

    @property
    def unexplained(self) -> list[tuple[str, str]]:
        """(objective, why) where no axis can be said to matter."""
        without = self.importance[self.importance["importance"].isna()].drop_duplicates("objective")
        return [(str(row.objective), str(row.reason)) for row in without.itertuples()]

    @cached_property
    def _begun(self) -> list[TrialRecord]:
        return [record for record in self.searched if record.status != "infeasible"]

    @property
    def reference_inside(self) -> str:
        """Why the reference point will not do; empty if it does, or there is none."""
        if not self.study.reference:
            return ""
        whole = self.values[~np.isnan(self.values).any(axis=1)]
        try:
            check_reference(
                whole, [self.study.reference[name] for name in self.study.objectives], self.study.objectives
            )
        except InputError as error:
            return str(error)
        return ""
