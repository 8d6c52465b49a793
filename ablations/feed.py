"""The feed of an ablation: the first seeds of every arm, then more seeds for arms of comparisons that are open."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from functools import cache
from itertools import pairwise

from ablations.adjustments import unadjusted
from ablations.analyses import Analyses, sides
from ablations.contrasts import Contrast
from ablations.outcomes import Outcomes, outcomes
from ablations.plan import AblationPlan
from search.measures.catalogue import Measure
from search.running.feed import unfinished
from search.running.progress import Progress
from search.running.share import Share
from search.store.store import Store
from search.training.jobs import PastJobs
from search.trials.events import Event, Finished
from search.trials.record import TrialRecord
from search.trials.trial import Job, TrialSpec


class AblationFeed:
    """The jobs of an ablation: after each interim analysis, more seeds for the arms of open comparisons.

    For example, with `seeds: {min: 3, max: 10}` every arm is trained with seeds 0, 1 and 2; if arm `b` against baseline
    `a` is still open, both are trained with seed 3, and so on, until no comparison is open or `max` is reached.

    Which comparisons are open depends only on the stored results with the seeds of that analysis. So a resumed run, or
    a run with more workers, requests the same trials. No worker waits for the slowest arm of an analysis: a comparison
    that will be open for all possible results of the other arms continues at once. With a joint test there is no such
    comparison, because every result has an influence. A study with a fixed number of seeds has one analysis.
    """

    def __init__(self, plan: AblationPlan, store: Store, progress: Progress, *, reclaim: bool = True) -> None:
        """With `reclaim`, trials that a dead driver, or an earlier session, left running wait again."""
        self.plan, self.store, self.progress = plan, store, progress
        store.add(plan.first)
        if reclaim:
            store.reclaim()
        self.pending = self._unfinished(plan.first)
        self.jobs = deque[Job]()
        self.workers = len(plan.trials)
        """At first the maximum that could have work; `begin` sets the runner's number."""
        self.requested = {spec.key for spec in plan.first}
        self.known_at_start = {record.key for record in store.records()}
        """Trials that the progress counts from the start: in a resumed run, trials of later analyses are stored."""
        self.records: dict[str, TrialRecord] = {}
        """Trials that have ended, as they were read from the store: reading all of them again takes long."""
        self.running: set[str] = set()
        self.results_changed = True
        """Whether a trial has ended, here or in another driver, since the last check for more trials."""
        self.share = Share(store, note=progress.note, ended=self._on_ended_elsewhere)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do, so that no runner is needed."""
        self._request_more()
        return not self.pending and not self.jobs

    @property
    def over(self) -> bool:
        return not self.pending and not self.jobs and not self.running and not self.share.elsewhere

    def begin(self, workers: int) -> None:
        self.workers = workers

    def next(self) -> Job | None:
        self.pending += self.share.reclaimed()
        self._request_more()
        if self.pending:
            self.jobs.extend(self._grouped(self.pending))
            self.pending = []
        while self.jobs:
            if job := self.share.claim(self.jobs.popleft()):
                self.running |= {spec.key for spec in job.trials}
                self.progress.names |= {spec.key: self.plan.name_of(spec) for spec in job.trials}
                self.progress.lengths |= {spec.key: self.plan.steps_of(spec.recipe, spec.data) for spec in job.trials}
                return job
        return None

    def tell(self, events: Sequence[Event]) -> set[str]:
        for event in self.store.write(events):
            self.progress.tell(event)
        for event in events:
            if isinstance(event, Finished):
                self.note_end(event.key)
        return set()

    def note_end(self, key: str) -> None:
        """Note that a trial has ended, here or in another driver that was faster."""
        self.running.discard(key)
        self.results_changed = True

    def _on_ended_elsewhere(self, trials: int) -> None:
        self.results_changed = True
        self.progress.add_ended_elsewhere(trials)

    def _unfinished(self, specs: Iterable[TrialSpec]) -> list[TrialSpec]:
        """The trials that have not ended."""
        remaining = unfinished([Job(trials=(spec,)) for spec in specs], self.store)
        return [spec for job in remaining for spec in job.trials]

    def _grouped(self, specs: Sequence[TrialSpec]) -> list[Job]:
        plan = self.plan
        before = PastJobs.of(record for record in self.store.records() if record.key in plan.trials)
        return plan.jobs(specs, workers=self.workers, before=before, measure=True)

    def _request_more(self) -> None:
        """Request more trials if the results need them; trials that are already stored are not run again."""
        if len(self.plan.study.analyses) == 1 or not self.results_changed or self.pending or self.jobs:
            return
        self.results_changed = False
        wanted = self._wanted()
        more = [spec for key, spec in wanted.items() if key not in self.requested]
        if not more:
            return
        self.requested |= wanted.keys()
        self.store.add(more)
        self.pending = self._unfinished(more)
        self.progress.add_trials(sum(spec.key not in self.known_at_start for spec in more))

    def _wanted(self) -> dict[str, TrialSpec]:
        """All trials that the results need so far, by key."""
        plan, study = self.plan, self.plan.study
        ended = self.store.ended()
        wanted = {spec.key: spec for spec in plan.first}
        planned = [study.resolved_contrast(contrast, plan.architectures) for contrast in study.planned.compare]
        # Once at most, and only if an analysis has all of its results: most ends of trials complete none.
        outcomes = cache(lambda: self._outcomes(ended))
        still_open, all_known = planned, True
        # Censored trials rank after those of all other arms.
        joint = study.planned.joint or any(measure.until for measure in study.planned.measures)
        for seeds, next_seeds in pairwise(study.analyses):
            all_known = all_known and wanted.keys() <= ended
            known = planned if all_known else []
            if not all_known and not joint:
                known = [each for each in still_open if ended.issuperset(self._keys(sides(each), range(seeds)))]
            if not known:
                break
            analyses = Analyses(study, {measure: each.first(seeds) for measure, each in outcomes().items()})
            still_open = (open_contrasts if all_known else surely_open)(analyses, known)
            arms = dict.fromkeys(arm for contrast in still_open for arm in reversed(sides(contrast)))
            wanted |= {key: plan.trials[key] for key in self._keys(arms, range(seeds, next_seeds))}
        return wanted

    def _keys(self, arms: Collection[str], seeds: Iterable[int]) -> list[str]:
        """The keys of the trials of these arms with each of these seeds, in running order."""
        return [self.plan.setups[arm].trial(seed) for seed in seeds for arm in arms]

    def _outcomes(self, ended: Set[str]) -> Mapping[Measure, Outcomes]:
        # A failed trial can be tried again by another driver; all others have ended for good.
        new = [key for key in ended & self.plan.trials.keys() if key not in self.records]
        self.records |= {record.key: record for record in self.store.records(new) if record.status != "failed"}
        records = self.records.values()
        study, setups = self.plan.study, self.plan.setups
        curves = self.store.curves() if any(measure.curve for measure in study.planned.measures) else None

        def by(measure: Measure) -> Outcomes:
            images = len(getattr(self.plan.images, measure.split)) if measure.split else None
            return outcomes(setups, records, measure, fail_above=study.fail_above, images=images, curves=curves)

        return {measure: by(measure) for measure in study.planned.measures}


def open_contrasts(analyses: Analyses, planned: Sequence[Contrast]) -> list[Contrast]:
    """Return the planned contrasts that are not resolved yet and that more seeds could resolve.

    A contrast with an arm that diverged at every seed is not open: more seeds of that arm would diverge too.
    """
    return _open(analyses, planned, analyses.study.planned.adjustment.adjusted)


def surely_open(analyses: Analyses, some: Sequence[Contrast]) -> list[Contrast]:
    """Return those of some contrasts that are open for all possible results of the rest of the family.

    These are the contrasts with an unadjusted p-value above alpha, since no adjusted p-value is smaller.
    """
    return _open(analyses, some, unadjusted)


def _open(
    analyses: Analyses,
    contrasts: Sequence[Contrast],
    adjusted: Callable[[Sequence[float | None]], list[float | None]],
) -> list[Contrast]:
    alpha = analyses.study.planned.alpha
    found = [analyses.of(contrast) for contrast in contrasts]
    columns = (
        contrasts,
        adjusted([each.p for each in found]),
        adjusted([each.p_not_equivalent for each in found]),
    )

    def significant(p: float | None) -> bool:
        return p is not None and p <= alpha

    return [
        contrast
        for contrast, p, p_not_equivalent in zip(*columns, strict=True)
        if not significant(p)
        and not significant(p_not_equivalent)
        and not any(analyses.outcomes(contrast).always_diverges(arm) for arm in sides(contrast))
    ]
