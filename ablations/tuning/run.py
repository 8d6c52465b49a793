"""The results of an ablation with tuned arms so far, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ablations.run import AblationRun
from ablations.study import Ablation
from ablations.tune import FIRST_SEED
from ablations.tuning.arm_search import ArmSearch, Tried, best_of, values
from ablations.tuning.plan import OWN, SHARED
from resnet_space.errors import InputError
from search.files.folder import RunFolder
from search.running.liveness import Liveness
from search.store import membership
from search.store.store import Store
from search.trials.record import TrialRecord


@dataclass(frozen=True)
class TunedRun:
    """The results of an ablation with tuned arms: at the shared recipe, and, after the tuning, each at its own."""

    study: Ablation
    folder: RunFolder
    shared: AblationRun
    own: AblationRun | None
    """None before the tuning of every arm is over."""
    tried: Mapping[str, Sequence[Tried]]
    """The recipes that every arm has tried, by its name."""
    tuning: list[TrialRecord]
    """The trials of the tuning."""
    counts: Mapping[str, int]
    reasons: list[tuple[str, str, int]]
    others: int
    """The number of stored trials that do not belong to this run."""

    @classmethod
    def of(cls, study: Ablation, folder: RunFolder, store: Store) -> TunedRun:
        """Read the results from the store; the run can still be running.

        Raises:
            InputError: no stored trial belongs to the run.
        """
        assert study.tune is not None
        _, records, others = membership.own_trials(study, folder, store)
        tuning = [record for record in records if record.seed == FIRST_SEED]
        shared = replace(AblationRun.of(study.at_shared, folder, store), others=0)
        searches = {name: ArmSearch(setup, study.tune) for name, setup in shared.setups.items()}
        for search in searches.values():
            search.restore(tuning)
        own = None
        if all(search.over for search in searches.values()):
            try:
                own = AblationRun.of(
                    study.at_own({name: values(search.best) for name, search in searches.items()}), folder, store
                )
                own = replace(own, others=0)
            except InputError:
                pass  # None of its trials is stored yet.
        standing = membership.run_status(records, store.run_status())
        return cls(
            study,
            folder,
            shared,
            own,
            {name: search.tried for name, search in searches.items()},
            tuning,
            Liveness.of(folder, standing).counts,
            standing.reasons,
            others,
        )

    @property
    def parts(self) -> Mapping[str, AblationRun]:
        """The results at the shared recipe and at the arms' own, by their labels."""
        return {SHARED: self.shared, **({OWN: self.own} if self.own else {})}

    @property
    def records(self) -> list[TrialRecord]:
        """All trials of the run, each once."""
        found = {record.key: record for part in self.parts.values() for record in part.records}
        return [*found.values(), *self.tuning]

    @property
    def best(self) -> Mapping[str, Tried | None]:
        """The best recipe of every arm so far, by its name; None if none of its trials is complete."""
        return {name: best_of(tried) for name, tried in self.tried.items()}

    @property
    def as_planned(self) -> bool:
        """Whether the planned contrasts are the same as those stored before the first trial."""
        return self.shared.as_planned

    @property
    def failed(self) -> bool:
        """Whether a trial of this study failed."""
        return any(record.status == "failed" for record in self.records)
