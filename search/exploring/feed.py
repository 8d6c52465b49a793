"""The feed of a search: ask the sampler while the budget lasts, then confirm the front with fresh seeds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence

from resnet_space import Architecture
from resnet_space.fields import Lookup
from search.exploring.history import costs, end_event, outcome, restore_history
from search.exploring.plan import SearchPlan
from search.fronts.front import front
from search.running.progress import Progress
from search.samplers.sampler import Outcome, Proposal, Sampler
from search.samplers.stopping import Rungs
from search.store.store import Store
from search.trials.events import Epoch, Event, Finished
from search.trials.joint_space import lookup_of_setup
from search.trials.setup import Setup
from search.trials.trial import Job, TrialSpec


class SearchFeed:
    """Turns proposals into trials, and reports results to the sampler and epochs to the stopping rule.

    Events are stored before the sampler learns of them, an epoch together with the end that the stopping rule gives its
    trial. The state is rebuilt from the store at the start, so the same search resumes where it stopped.

    Raises:
        InputError: another driver runs this search. The next proposal depends on all earlier ones, so two drivers
            would propose the same networks.
    """

    def __init__(self, plan: SearchPlan, store: Store, progress: Progress) -> None:
        study = plan.study
        self.plan, self.store, self.progress, self.study, self.space = plan, store, progress, study, plan.space
        if store.shared:
            store.claims.require_sole_driver(report=progress.note)
        store.reclaim()
        known = restore_history(study, self.space, plan.identities(store).own_records(store.records()))
        store.remove_unstarted(known.to_forget)
        store.set_aside(known.set_aside)
        self.sampler = Sampler(
            self.space,
            study.sampler.strategy(self.space, study.objectives, study.seed),
            seed=study.seed,
            replicates=study.replicates,
        )
        self.sampler.restore(known.history)
        self.setups, self.ended, self.seconds = known.setups, known.ended, known.seconds
        self.costs: dict[str, tuple[float, ...]] = {}
        """Values of the objectives that are known before training, by network: counting one takes a while."""
        self.proposals = {self._setup(p).trial(p.seed): p for p, _ in known.history}
        self.begun = sum(1 for _, end in known.history if end is None or end.status != "infeasible")
        self.queue = deque(known.unfinished)
        self.rungs = Rungs(study.stopping, plan.epochs)
        self.rungs.restore(self._stored_epochs())
        self.running: dict[str, TrialSpec] = {}
        self.spent: dict[str, dict[int, float]] = {}
        """Seconds of each epoch of the running trials that can be stopped, by key and epoch."""
        self.scheduled = {*known.ended, *(spec.key for spec in known.unfinished)}
        self.searching = True
        self.began = time.monotonic() - known.wall_seconds
        self._prefetched: Job | None = None

    @property
    def idle(self) -> bool:
        """True if there is nothing to do, so no runner is needed."""
        self._prefetched = self._prefetched or self._next()
        return self._prefetched is None

    @property
    def over(self) -> bool:
        return not self.running and not self.queue

    def begin(self, workers: int) -> None:
        """Do nothing: each trial is a job of its own, because it can be stopped early."""

    def next(self) -> Job | None:
        job, self._prefetched = self._prefetched or self._next(), None
        return job

    def tell(self, events: Sequence[Event]) -> set[str]:
        known, stopped = list[Event](), set[str]()
        for event in events:
            if event.key not in self.running or event.key in stopped:
                # The trial was stopped, and its worker does not know yet. After its end there is nothing to stop.
                stopped |= set() if isinstance(event, Finished) else {event.key}
                continue
            known.append(event)
            if isinstance(event, Epoch) and (end := self._judged(event)):
                known.append(end)
                stopped.add(event.key)
        stored = self.store.write(known)
        for event in stored:
            self.progress.tell(event)
            if isinstance(event, Finished):
                self._finish(event)
        for key in {event.key for event in known} - {event.key for event in stored}:
            # Another driver has ended it: this one was silent for so long that it counted as dead.
            self._forget(key)
            stopped.add(key)
        return stopped

    def _next(self) -> Job | None:
        while not self.queue and self.searching:
            self._propose()
        if not self.queue and not self.searching and not self.running:
            # The front is final only now.
            confirmations = list(self._confirmations())
            self.store.add(confirmations)
            self.progress.add_trials(len(confirmations))
            self.queue.extend(confirmations)
        if not self.queue:
            return None
        spec = self.queue.popleft()
        self.running[spec.key] = spec
        self.progress.names[spec.key] = self.plan.name_of(spec)
        self.progress.lengths[spec.key] = self.plan.steps_of(spec.recipe, spec.data)
        # A confirming trial is never stopped.
        return Job(trials=(spec,), judged=tuple(self.rungs.recorded) if spec.key in self.proposals else ())

    def _propose(self) -> None:
        """Queue the sampler's next trial, or end the search phase."""
        proposal = None if self._budget_spent() else self.sampler.ask()
        for refused, end in self.sampler.refused():
            self._store_proposal(refused, end)
        if proposal is None:
            self.searching = False
            self.progress.add_trials(self.begun - (self.study.budget.trials or self.begun))
            return
        if not self.study.budget.trials:
            self.progress.add_trials(1)
        self.begun += 1
        spec = self._store_proposal(proposal)
        if record := self.ended.get(spec.key):
            # Its result is known: it was trained for another space, or as a confirmation.
            self._tell_sampler(spec, end_event(record))
        else:
            self.queue.append(spec)

    def _store_proposal(self, proposal: Proposal, end: Outcome | None = None) -> TrialSpec:
        """Store a proposal with what the sampler needs after a restart, and return its trial."""
        setup = self._setup(proposal)
        spec = setup.spec(proposal.seed)
        fields = {"number": proposal.number, "assignment": proposal.assignment, "by": self.study.sampler.kind}
        self.store.propose(spec, fields)
        if end is not None:
            self.store.write([Finished(spec.key, end.status, proposal.reason)])
        self.proposals[spec.key], self.setups[setup.key] = proposal, setup
        return spec

    def _budget_spent(self) -> bool:
        budget, resources = self.study.budget, self.study.resources
        device_hours = self.seconds * (resources.gpus or resources.cpus) / 3600
        wall_hours = (time.monotonic() - self.began) / 3600
        return (
            (budget.trials is not None and self.begun >= budget.trials)
            or (budget.device_hours is not None and device_hours >= budget.device_hours)
            or (budget.wall_hours is not None and wall_hours >= budget.wall_hours)
        )

    def _judged(self, epoch: Epoch) -> Finished | None:
        """Return the end that the stopping rule gives the trial at this epoch. A confirming trial is never stopped."""
        self.seconds += epoch.seconds
        if epoch.key not in self.proposals:
            return None
        # By epoch, because a resumed trial reports earlier epochs again.
        spent = self.spent.setdefault(epoch.key, {})
        spent[epoch.epoch] = epoch.seconds
        if epoch.epoch not in self.rungs:
            return None
        error = epoch.validation_error
        reason = self.rungs.judge(epoch.key, epoch.epoch, (error, *self._costs(self.running[epoch.key].architecture)))
        if reason is None:
            return None
        return Finished(epoch.key, "pruned", reason, validation_error=error, seconds=sum(spent.values()))

    def _costs(self, net: Architecture) -> tuple[float, ...]:
        if net.key not in self.costs:
            self.costs[net.key] = costs(net, self.study.objectives)
        return self.costs[net.key]

    def _finish(self, end: Finished) -> None:
        spec = self._forget(end.key)
        if end.key in self.proposals:
            self._tell_sampler(spec, end)

    def _forget(self, key: str) -> TrialSpec:
        """Remove a trial that has ended from those that are running."""
        self.spent.pop(key, None)
        return self.running.pop(key)

    def _tell_sampler(self, spec: TrialSpec, end: Finished | None) -> None:
        result = outcome(self.study, self.space.point_of(Setup.of(spec)), end, self.space)
        assert result is not None
        self.sampler.tell(self.proposals[spec.key].number, result)

    def _confirmations(self) -> Iterator[TrialSpec]:
        """Yield trials with fresh seeds for the networks on the front, without those that exist already."""
        if not self.study.confirm:
            return
        for point in front(
            self.store.results(self.plan.identities(self.store)),
            self.study.objectives,
            seeds=self.study.confirmation_seeds,
            where=self.study.result_constraint,
            describe=self._describe,
            bootstrap=0,
        ):
            for seed in self.study.confirmation_seeds:
                spec = self.setups[point.setup].spec(seed)
                # Only once: a network that diverges with a fresh seed stays unconfirmed.
                if spec.key not in self.scheduled:
                    self.scheduled.add(spec.key)
                    yield spec

    def _stored_epochs(self) -> Iterator[tuple[str, int, tuple[float, ...]]]:
        """Yield (key, epoch, values) of the stored epochs that the stopping rule has judged."""
        curves = self.store.curves()
        for key, epoch, error in zip(curves["key"], curves["epoch"], curves["validation_error"], strict=True):
            if key in self.proposals and epoch in self.rungs:
                yield key, int(epoch), (float(error), *self._costs(self.proposals[key].net))

    def _describe(self, key: str) -> Lookup:
        return lookup_of_setup(self.setups[key])

    def _setup(self, proposal: Proposal) -> Setup:
        assert isinstance(proposal.point, Setup)
        return self.plan.setup_of(proposal.point)
