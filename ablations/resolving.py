"""The feed of an ablation: every arm's first seeds, then more for those whose comparison is still open."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ablations.contrasts import Contrast
from ablations.effects import Values
from ablations.findings import look
from search.events import Event, Finished
from search.progress import Progress
from search.share import Share
from search.store import Store
from search.sweep import unfinished
from search.together import Before, jobs
from search.trial import Job, TrialSpec

if TYPE_CHECKING:
    from ablations.launch import AblationPlan


class Resolving:
    """Jobs of the study, in rounds: more seeds for every arm of an open comparison, until none is open.

    Which arms are open follows from the stored results alone, so a run that goes on asks for what an undisturbed one
    would have asked for. A study with a fixed number of seeds has one round.
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
        """Trials that the progress knows of from the beginning: later rounds of a run that goes on are stored."""
        self.running: set[str] = set()
        self.share = Share(store, note=progress.note, ended=progress.ended_elsewhere)

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
        self.todo += self.share.back()
        self._refill()
        if self.todo:
            self.jobs.extend(self._grouped(self.todo))
            self.todo = []
        while self.jobs:
            if job := self.share.take(self.jobs.popleft()):
                self.running |= {spec.key for spec in job.trials}
                return job
        return None

    def tell(self, event: Event) -> bool:
        if self.store.write(event):
            self.progress.tell(event)
        if isinstance(event, Finished):
            self.running.discard(event.key)
        return False

    def _waiting(self, specs: Iterable[TrialSpec]) -> list[TrialSpec]:
        """Those that have not ended."""
        left = unfinished([Job(trials=(spec,)) for spec in specs], self.store)
        return [spec for job in left for spec in job.trials]

    def _grouped(self, specs: Sequence[TrialSpec]) -> list[Job]:
        plan, before = self.plan, Before.of(self.store.records())
        resources = plan.study.resources
        return jobs(specs, resources, workers=self.workers, steps=plan.steps, probes=plan.probes, before=before)

    def _refill(self) -> None:
        """Another round, once the one before has ended; rounds whose trials are stored already pass at once."""
        while not self.todo and not self.jobs and not self.running and not self.share.elsewhere:
            more = [spec for spec in self._more() if spec.key not in self.asked]
            if not more:
                return
            self.asked |= {spec.key for spec in more}
            self.store.add(more)
            self.todo = self._waiting(more)
            self.progress.more(sum(spec.key not in self.counted for spec in more))

    def _more(self) -> Iterator[TrialSpec]:
        """The next seeds of every arm that an open comparison needs."""
        # Every arm has had the rounds that it was open in: the one with the most says which round this is.
        had = max((len(seeds) for seeds in self._seeds().values()), default=0)
        now = next((look for look in self.plan.study.looks if look > had), had)
        if now == had:
            return
        nets, contrasts = self.plan.architectures, open_contrasts(self.plan, self._values())
        names = dict.fromkeys(arm for contrast in contrasts for arm in (contrast.versus, contrast.arm) if arm)
        for seed in range(had, now):
            for name in names:
                yield self.plan.spec(nets[name], seed)

    def _seeds(self) -> Mapping[str, set[int]]:
        """Seeds that were asked for, by network."""
        found: dict[str, set[int]] = {}
        for key in self.asked:
            spec = self.plan.trials[key]
            found.setdefault(spec.architecture.key, set()).add(spec.seed)
        return found

    def _values(self) -> Mapping[str, Values]:
        """The measure of complete trials, by arm and seed."""
        column = self.plan.study.measure.column
        by_net: dict[str, dict[int, float]] = {}
        for record in self.store.records():
            value = getattr(record, column)
            if record.status == "complete" and value is not None and record.key in self.asked:
                by_net.setdefault(record.architecture, {})[record.seed] = value
        return {name: by_net.get(net.key, {}) for name, net in self.plan.architectures.items()}


def open_contrasts(plan: AblationPlan, values: Mapping[str, Values]) -> list[Contrast]:
    """The planned contrasts that are not resolved yet, and that more seeds could resolve.

    An arm that has no complete trial is not open: what it does with a seed, it does with any.
    """
    study = plan.study
    contrasts = [study.resolved_contrast(contrast, values) for contrast in study.planned.compare]
    looked = [look(study, contrast, values) for contrast in contrasts]
    alpha, adjusted = study.planned.alpha, study.planned.adjustment.adjusted([each.p for each in looked])

    def settled(p: float | None) -> bool:
        return p is not None and p <= alpha

    return [
        contrast
        for contrast, seen, p in zip(contrasts, looked, adjusted, strict=True)
        if seen.difference.delta is not None and not settled(p) and not settled(seen.p_differs_more)
    ]
