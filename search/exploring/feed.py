"""The feed of a search: asks the sampler while the budget lasts, then trains the front anew with fresh seeds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from resnet_space import Architecture
from resnet_space.fields import Lookup, measure
from search.exploring.history import costs, end_of, outcome, recall
from search.exploring.plan import SearchPlan
from search.fronts.front import front
from search.running.progress import Progress
from search.samplers.sampler import Outcome, Proposal, Sampler
from search.samplers.stopping import Rungs
from search.store.store import Store
from search.trials.events import Epoch, Event, Finished
from search.trials.trial import Job, TrialSpec


class SearchFeed:
    """Proposals become trials, ends are told to the sampler, epochs to the stopping rule; the store comes first.

    Everything is rebuilt from the store at the beginning, so the same search again goes on where it stopped.

    Raises:
        InputError: another driver is at it. What is asked for next depends on all that was asked for before, so two
            would ask for the same.
    """

    def __init__(self, plan: SearchPlan, store: Store, progress: Progress) -> None:
        study = plan.study
        self.plan, self.store, self.progress, self.study, self.space = plan, store, progress, study, plan.space
        if store.shared:
            store.claims.require_sole_driver(report=progress.note)
        store.reclaim()
        known = recall(study, self.space, plan.identity.own_records(store.records()))
        store.remove_unstarted(known.forgotten)
        store.set_aside(known.aside)
        self.sampler = Sampler(
            self.space,
            study.sampler.strategy(self.space, study.objectives, study.seed),
            seed=study.seed,
            replicates=study.replicates,
        )
        self.sampler.restore(known.history)
        self.nets, self.ended, self.seconds = known.nets, known.ended, known.seconds
        self.asked = {self._spec(p.net, p.seed).key: p for p, _ in known.history}
        self.begun = sum(1 for _, end in known.history if end is None or end.status != "infeasible")
        self.queue = deque(known.unfinished)
        self.rungs = Rungs(study.stopping, plan.epochs)
        self.rungs.restore(self._rungs())
        self.running: dict[str, TrialSpec] = {}
        self.known = {*known.ended, *(spec.key for spec in known.unfinished)}
        self.searching = True
        self.began = time.monotonic() - known.wall_seconds
        self._ahead: Job | None = None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do: no need to start a runner."""
        self._ahead = self._ahead or self._next()
        return self._ahead is None

    @property
    def over(self) -> bool:
        return not self.running and not self.queue

    def begin(self, workers: int) -> None:
        """Nothing: a trial that may be stopped early is a job of its own."""

    def next(self) -> Job | None:
        job, self._ahead = self._ahead or self._next(), None
        return job

    def tell(self, event: Event) -> bool:
        if not self.store.write(event):
            # The end is known already: of a trial that was stopped, and whose worker has not heard of it yet.
            return isinstance(event, Epoch)
        self.progress.tell(event)
        if isinstance(event, Epoch):
            self.seconds += event.seconds
            return self._judged(event)
        if isinstance(event, Finished):
            self._ended(event)
        return False

    def _next(self) -> Job | None:
        while not self.queue and self.searching:
            self._ask()
        if not self.queue and not self.searching and not self.running:
            # Only now is it known what the front is.
            confirmations = list(self._confirmations())
            self.store.add(confirmations)
            self.progress.more(len(confirmations))
            self.queue.extend(confirmations)
        if not self.queue:
            return None
        spec = self.queue.popleft()
        self.running[spec.key] = spec
        self.progress.names[spec.key] = self.plan.name_of(spec)
        return Job(trials=(spec,))

    def _ask(self) -> None:
        """Put the sampler's next trial on the queue, or end the searching."""
        proposal = None if self._spent() else self.sampler.ask()
        for refused, end in self.sampler.refused():
            self._put(refused, end)
        if proposal is None:
            self.searching = False
            self.progress.more(self.begun - (self.study.budget.trials or self.begun))
            return
        if not self.study.budget.trials:
            self.progress.more(1)
        self.begun += 1
        spec = self._put(proposal)
        if record := self.ended.get(spec.key):
            # Trained for another space, or to confirm: its end is known.
            self._tell_sampler(spec, end_of(record))
        else:
            self.queue.append(spec)

    def _put(self, proposal: Proposal, end: Outcome | None = None) -> TrialSpec:
        """Into the store, with what the sampler has to know of it after a restart."""
        spec = self._spec(proposal.net, proposal.seed)
        asked = {"number": proposal.number, "assignment": proposal.assignment, "by": self.study.sampler.kind}
        self.store.propose(spec, asked)
        if end is not None:
            self.store.write(Finished(spec.key, end.status, proposal.reason))
        self.asked[spec.key], self.nets[proposal.net.key] = proposal, proposal.net
        return spec

    def _spent(self) -> bool:
        budget, resources = self.study.budget, self.study.resources
        device_hours = self.seconds * (resources.gpus or resources.cpus) / 3600
        wall_hours = (time.monotonic() - self.began) / 3600
        return (
            (budget.trials is not None and self.begun >= budget.trials)
            or (budget.device_hours is not None and device_hours >= budget.device_hours)
            or (budget.wall_hours is not None and wall_hours >= budget.wall_hours)
        )

    def _judged(self, epoch: Epoch) -> bool:
        """Whether the stopping rule ends a trial of the search here; one that confirms runs to its end."""
        if epoch.key not in self.asked or epoch.key not in self.running:
            return False
        values = (epoch.validation_error, *costs(self.running[epoch.key].architecture, self.study.objectives))
        reason = self.rungs.judge(epoch.key, epoch.epoch, values)
        if reason is None:
            return False
        spent = self.store.seconds(epoch.key)
        self.tell(Finished(epoch.key, "pruned", reason, validation_error=epoch.validation_error, seconds=spent))
        return True

    def _ended(self, end: Finished) -> None:
        spec = self.running.pop(end.key)
        if end.key in self.asked:
            self._tell_sampler(spec, end)

    def _tell_sampler(self, spec: TrialSpec, end: Finished | None) -> None:
        told = outcome(self.study, spec.architecture, end, self.space)
        assert told is not None
        self.sampler.tell(self.asked[spec.key].number, told)

    def _confirmations(self) -> Iterator[TrialSpec]:
        """Fresh seeds for what is on the front and has not had them."""
        if not self.study.confirm:
            return
        for point in front(
            self.store.results(self.plan.identity),
            self.study.objectives,
            seeds=self.study.confirmation_seeds,
            where=self.study.result_constraint,
            describe=self._describe,
            bootstrap=0,
        ):
            for seed in self.study.confirmation_seeds:
                spec = self._spec(self.nets[point.key], seed)
                # Once: a network that diverges with a fresh seed stays unconfirmed.
                if spec.key not in self.known:
                    self.known.add(spec.key)
                    yield spec

    def _rungs(self) -> Iterator[tuple[str, int, tuple[float, ...]]]:
        """What trials of the search were judged by before: (key, epoch, values)."""
        curves = self.store.curves()
        for key, epoch, error in zip(curves["key"], curves["epoch"], curves["validation_error"], strict=True):
            if key in self.asked:
                yield key, int(epoch), (float(error), *costs(self.asked[key].net, self.study.objectives))

    def _describe(self, key: str) -> Lookup:
        return measure(self.nets[key])

    def _spec(self, net: Architecture, seed: int) -> TrialSpec:
        return self.plan.spec(net, seed)
