"""The results of a search: its front, and how the search went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resnet_space import Architecture
from resnet_space.errors import InputError
from search.exploring.history import restore_history
from search.exploring.study import Search
from search.files.folder import RunFolder
from search.fronts.dominance import check_reference, hypervolume_trace
from search.fronts.front import Point, front
from search.fronts.networks import networks
from search.fronts.objectives import OBJECTIVES
from search.running.liveness import Liveness
from search.samplers.sampler import Outcome
from search.samplers.stopping import Saved, saved
from search.store import membership
from search.store.store import Store
from search.trials.joint_space import JointSpace
from search.trials.record import TrialRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SearchRun:
    """The contents of a search's folder: the study, and its trials as they are stored now."""

    study: Search
    folder: RunFolder
    front: list[Point]
    nets: Mapping[str, Architecture]
    """The networks on the front, by key."""
    recipes: Mapping[str, Mapping[str, Any]]
    """The values of the axes of recipe and data with which each of them is best, by its key and path."""
    records: list[TrialRecord]
    results: pd.DataFrame
    curves: pd.DataFrame
    counts: Mapping[str, int]
    reasons: list[tuple[str, str, int]]
    others: int
    """The number of stored trials of other runs, which are left out above."""

    @classmethod
    def of(cls, study: Search, folder: RunFolder, store: Store) -> SearchRun:
        """Read what is stored; the search can still be running.

        Raises:
            InputError: no stored trial is of this run.
        """
        own, mine, others = membership.own_trials(study, folder, store)
        results = store.results(own)
        points = front(
            results,
            study.objectives,
            seeds=study.confirmation_seeds,
            where=study.result_constraint,
            describe=store.describe,
        )
        nets = {key: Architecture.of(data) for key, data in store.architectures([p.key for p in points]).items()}
        searched = membership.varied(study, store, {point.training for point in points})
        recipes = {point.key: searched[point.training] for point in points}
        records = [record for record in mine if not record.aside]
        standing, curves = membership.run_status(mine, store.run_status()), store.curves()
        curves = curves[curves["key"].isin({record.key for record in mine})]
        counts = Liveness.of(folder, standing).counts
        return cls(study, folder, points, nets, recipes, records, results, curves, counts, standing.reasons, others)

    @property
    def failed(self) -> bool:
        """Whether a trial failed, or none is complete."""
        return bool(self.counts["failed"]) or not self.counts["complete"]

    @cached_property
    def space(self) -> JointSpace:
        """The space for the shape and classes of the stored networks."""
        some = self.records[0].network
        return self.study.space_for(some.input_shape, some.classes)

    def write_optuna(self) -> str:
        """Write the search to `optuna.db` in its folder, for optuna-dashboard, and return its URL."""
        from search.samplers.optuna_sampler import write_storage

        history = restore_history(self.study, self.space, self.records).history
        trials = [(proposal, end or Outcome("running")) for proposal, end in history]
        url = f"sqlite:///{self.folder.path / 'optuna.db'}"
        write_storage(url, self.study.name, self.space, self.study.objectives, trials)
        return url

    @cached_property
    def searched(self) -> list[TrialRecord]:
        """The trials that the sampler proposed, in order; confirming trials are not among them."""
        asked = [record for record in self.records if record.proposal]
        return sorted(asked, key=lambda record: (record.proposal or {}).get("number", 0))

    @cached_property
    def networks(self) -> pd.DataFrame:
        """One row per network with a complete trial: means and standard deviations over seeds."""
        return networks(self.results, self.study.confirmation_seeds)

    @cached_property
    def stopped_at(self) -> dict[str, int]:
        """The epoch after which each pruned trial was stopped, by key."""
        last = self.curves.groupby("key")["epoch"].max().to_dict()
        return {r.key: int(last.get(r.key, 0)) for r in self.searched if r.status == "pruned"}

    @cached_property
    def saved(self) -> Saved:
        """How many epochs early stopping saved, of those that the search's trials would have taken."""
        ends = {r.key for r in self.searched if r.status == "complete"}
        full = self.curves[self.curves["key"].isin(ends)].groupby("key")["epoch"].max()
        whole = int(full.max()) if len(full) else max(self.stopped_at.values(), default=0)
        return saved([*self.stopped_at.values(), *full.astype(int)], whole)

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Objectives of the search's n trials in order, shape (n, m), NaN without a value. Each seed is a row."""
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
        """Hypervolume after each trained trial, as a fraction of the box between zero and the reference point."""
        corner = [(self.study.reference or {})[name] for name in self.study.objectives]
        return hypervolume_trace(self.values, corner) / prod(corner)

    @property
    def ended(self) -> dict[str, list[int]]:
        """The numbers, from 1, of trained trials that were not completed, by status: `{"pruned": [3, 7]}`."""
        found = {
            status: [number for number, record in enumerate(self._begun, 1) if record.status == status]
            for status in ("pruned", "diverged", "failed")
        }
        return {status: numbers for status, numbers in found.items() if numbers}

    @cached_property
    def importance(self) -> pd.DataFrame:
        """The importance of each axis for each objective; see `search.exploring.importance`."""
        from search.exploring.importance import importance

        whole = [(r, values) for r, values in zip(self._begun, self.values, strict=True) if not np.isnan(values).any()]
        assignments = [(record.proposal or {})["assignment"] for record, _ in whole]
        columns = {name: [v[i] for _, v in whole] for i, name in enumerate(self.study.objectives)}
        for name in columns:
            if OBJECTIVES[name].known_before:
                # Costs range over decades, and are products of the axes' values.
                columns[name] = np.log10(columns[name]).tolist()
        return importance(self.space, assignments, columns)

    @property
    def without_importance(self) -> list[tuple[str, str]]:
        """(objective, reason) of objectives for which no importance could be computed."""
        without = self.importance[self.importance["importance"].isna()].drop_duplicates("objective")
        return [(str(row.objective), str(row.reason)) for row in without.itertuples()]

    @cached_property
    def _begun(self) -> list[TrialRecord]:
        return [record for record in self.searched if record.status != "infeasible"]

    @property
    def reference_problem(self) -> str:
        """Why the reference point cannot be used; "" if it can, or there is none."""
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
