"""The feed of an ablation: every arm's first seeds, then more for those whose comparison is still open."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from ablations.contrasts import Contrast
from ablations.effects import Values, unadjusted
from ablations.findings import look
from ablations.plan import AblationPlan
from ablations.study import Ablation
from search.running.feed import unfinished
from search.running.progress import Progress
from search.running.share import Share
from search.store.store import Store
from search.training.jobs import PastJobs, make_jobs
from search.trials.events import FINISHED, Event, Finished
from search.trials.record import TrialRecord
from search.trials.trial import Job, TrialSpec


class AblationFeed:
    """Jobs of the study: more seeds for every arm of a comparison that is open at a look, until none is.

    Which are open follows from the stored results with that look's seeds alone, so a run that goes on, or that has more
    workers, asks for what any other would have asked for. No worker waits for the slowest arm of a look: a comparison
    that will be open whatever the others show goes on at once. A study with a fixed number of seeds has one look.
    """

    def __init__(self, plan: AblationPlan, store: Store, progress: Progress) -> None:
        self.plan, self.store, self.progress = plan, store, progress
        store.add(plan.first)
        store.reclaim()
        self.todo = self._waiting(plan.first)
        self.jobs = deque[Job]()
        self.workers = len(plan.trials)
        """As many as there can be work for, until a runner says how many it has."""
        self.asked = {spec.key for spec in plan.first}
        self.counted = {record.key for record in store.records()}
        """Trials that the progress knows of from the beginning: later looks of a run that goes on are stored."""
        self.running: set[str] = set()
        self.news = True
        """Whether a trial has ended, here or elsewhere, since it was last looked whether more are asked for."""
        self.share = Share(store, note=progress.note, ended=self._ended_elsewhere)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do: no need to start a runner."""
        self._refill()
        return not self.todo and not self.jobs

    @property
    def over(self) -> bool:
        return not self.todo and not self.jobs and not self.running and not self.share.elsewhere

    def begin(self, workers: int) -> None:
        self.workers = workers

    def next(self) -> Job | None:
        self.todo += self.share.reclaimed()
        self._refill()
        if self.todo:
            self.jobs.extend(self._grouped(self.todo))
            self.todo = []
        while self.jobs:
            if job := self.share.claim(self.jobs.popleft()):
                self.running |= {spec.key for spec in job.trials}
                self.progress.names |= {spec.key: self.plan.name_of(spec) for spec in job.trials}
                return job
        return None

    def tell(self, event: Event) -> bool:
        if self.store.write(event):
            self.progress.tell(event)
        if isinstance(event, Finished):
            self.running.discard(event.key)
            self.news = True
        return False

    def _ended_elsewhere(self, trials: int) -> None:
        self.news = True
        self.progress.add_ended_elsewhere(trials)

    def _waiting(self, specs: Iterable[TrialSpec]) -> list[TrialSpec]:
        """Those that have not ended."""
        left = unfinished([Job(trials=(spec,)) for spec in specs], self.store)
        return [spec for job in left for spec in job.trials]

    def _grouped(self, specs: Sequence[TrialSpec]) -> list[Job]:
        plan = self.plan
        before = PastJobs.of(record for record in self.store.records() if record.key in plan.trials)
        resources = plan.study.resources
        return make_jobs(specs, resources, workers=self.workers, steps=plan.steps, probes=plan.probes, before=before)

    def _refill(self) -> None:
        """More trials, where the results ask for more; those that are stored already pass at once."""
        if len(self.plan.study.looks) == 1 or not self.news or self.todo or self.jobs:
            return
        self.news = False
        wanted = self._wanted()
        more = [spec for key, spec in wanted.items() if key not in self.asked]
        self.asked |= wanted.keys()
        self.store.add(more)
        self.todo = self._waiting(more)
        self.progress.add_trials(sum(spec.key not in self.counted for spec in more))

    def _wanted(self) -> dict[str, TrialSpec]:
        """All trials that the results ask for so far, by key."""
        plan, study = self.plan, self.plan.study
        records = [record for record in self.store.records() if record.key in plan.trials]
        ended = {record.key for record in records if record.status in FINISHED}
        wanted = {spec.key: spec for spec in plan.first}
        planned = [study.resolved_contrast(contrast, plan.architectures) for contrast in study.planned.compare]
        left, all_known = planned, True
        for had, now in pairwise(study.looks):
            values = self._values(records, had)
            all_known = all_known and wanted.keys() <= ended
            if all_known:
                left = open_contrasts(study, planned, values)
            else:
                known = [contrast for contrast in left if ended.issuperset(self._keys(contrast, had))]
                left = surely_open(study, known, values)
            arms = dict.fromkeys(arm for contrast in left for arm in _arms(contrast))
            more = [plan.spec(plan.architectures[arm], seed) for seed in range(had, now) for arm in arms]
            wanted |= {spec.key: spec for spec in more}
        return wanted

    def _keys(self, contrast: Contrast, seeds: int) -> list[str]:
        """Of the trials that a contrast is made of at a look."""
        plan = self.plan
        return [plan.spec(plan.architectures[arm], seed).key for arm in _arms(contrast) for seed in range(seeds)]

    def _values(self, records: Iterable[TrialRecord], seeds: int) -> Mapping[str, Values]:
        """The measure of complete trials with the first seeds, by arm and seed."""
        column = self.plan.study.measure.column
        by_net: dict[str, dict[int, float]] = {}
        for record in records:
            value = getattr(record, column)
            if record.status == "complete" and value is not None and record.seed < seeds:
                by_net.setdefault(record.architecture, {})[record.seed] = value
        return {name: by_net.get(net.key, {}) for name, net in self.plan.architectures.items()}


def open_contrasts(study: Ablation, planned: Sequence[Contrast], values: Mapping[str, Values]) -> list[Contrast]:
    """Of all planned contrasts those that are not resolved yet, and that more seeds could resolve.

    An arm that has no complete trial is not open: what it does with a seed, it does with any.
    """
    return _open(study, planned, values, study.planned.adjustment.adjusted)


def surely_open(study: Ablation, some: Sequence[Contrast], values: Mapping[str, Values]) -> list[Contrast]:
    """Those that are open whatever the rest of the family shows: no adjusted p is below its own."""
    return _open(study, some, values, unadjusted)


def _open(
    study: Ablation,
    contrasts: Sequence[Contrast],
    values: Mapping[str, Values],
    adjusted: Callable[[Sequence[float | None]], list[float | None]],
) -> list[Contrast]:
    alpha = study.planned.alpha
    looked = [look(study, contrast, values) for contrast in contrasts]

    def settled(p: float | None) -> bool:
        return p is not None and p <= alpha

    return [
        contrast
        for contrast, seen, p in zip(contrasts, looked, adjusted([each.p for each in looked]), strict=True)
        if seen.difference.delta is not None and not settled(p) and not settled(seen.p_differs_more)
    ]


def _arms(contrast: Contrast) -> tuple[str, ...]:
    assert contrast.versus is not None
    return contrast.versus, contrast.arm
