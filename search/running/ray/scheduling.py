"""What connects Ray Tune to a feed: a searcher, a scheduler, and a callback for lost workers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher

from search.files.bucket import Place
from search.running.feed import Feed
from search.running.ray.lost_workers import killed_by_signal, loss_reason, max_signal_deaths, ran_out_of_memory
from search.training import killed, out_of_memory
from search.trials.events import Event, Finished, Notice, as_event
from search.trials.resources import Resources
from search.trials.trial import Job

LEAVING_SECONDS = 30.0
"""How long a stop waits for workers to write checkpoints. After it, the epochs since their last ones are lost."""

JOBS_PER_TUNE_TRIAL = 25
"""A Tune trial runs this number of jobs, one after another: Tune keeps each of its trials for ever, and starting one
costs more than a step. It is limited because on a cluster Tune creates a trial, with its first job, before a worker is
free for it."""


class JobSearcher(Searcher):
    """Suggests to Tune the next job of the feed."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self.feed = feed

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its searchers to restore an experiment, but we resume from the store."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if job := self.feed.next():
            # As text: Tune flattens and copies a configuration, and derives names from it.
            return {"job": job.to_json()}
        return self.FINISHED if self.feed.over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: `EventScheduler` sees every event, and reports it to the feed."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a run resumes from the store, not from Tune's files."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, as for `save`."""


def limited(searcher: JobSearcher, at_once: int | None) -> Searcher:
    """Return the searcher, limited to `at_once` jobs at a time.

    By default Tune asks for one job more, which waits for a free worker: it shows a cluster's autoscaler that another
    node would be used.
    """
    return ConcurrencyLimiter(searcher, max_concurrent=at_once) if at_once else searcher


class EventScheduler(FIFOScheduler):
    """Reports events to the feed, and gives a worker its next job when one is over or is to be stopped."""

    def __init__(self, feed: Feed, retries: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.feed, self.retries = feed, retries
        self.job_counts: Counter[str] = Counter()
        """The number of jobs that each Tune trial has had, by its ID."""
        self.ended: dict[str, set[str]] = {}
        """Keys of the finished trials of the job that each Tune trial has now, by its ID."""
        self.leaving: list[Any] = []
        """Ray's references to workers' calls of `cleanup`."""

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing, as for `JobSearcher`."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        # Tune flattens nested results: {"event": {"key": ...}} arrives as {"event/key": ...}.
        event = {name.removeprefix("event/"): value for name, value in result.items() if name.startswith("event/")}
        resumes = False
        try:
            resumes = bool(event and not self._tell(trial, as_event(event))) or self._start_next_job(trial)
        finally:
            if not resumes:
                # Tune can keep the worker for later use or, after a signal, not end it properly.
                self.leaving.append(trial.temporary_state.ray_actor.cleanup.remote())
        return self.CONTINUE if resumes else self.STOP

    def close(self) -> None:
        """Wait for workers that leave: one that was in the middle of a job writes its checkpoints."""
        if self.leaving:
            ray.wait(self.leaving, num_returns=len(self.leaving), timeout=LEAVING_SECONDS)

    def _tell(self, trial: Any, event: Event) -> bool:
        if isinstance(event, Finished):
            self.ended.setdefault(trial.trial_id, set()).add(event.key)
        return bool(self.feed.tell([event]))

    def _start_next_job(self, trial: Any) -> bool:
        """Give the worker another job, and return whether there is one for this Tune trial."""
        self.ended.pop(trial.trial_id, None)
        self.job_counts[trial.trial_id] += 1
        job = self.feed.next() if self.job_counts[trial.trial_id] < JOBS_PER_TUNE_TRIAL else None
        if job is None:
            del self.job_counts[trial.trial_id]
            return False
        text = job.to_json()
        # If the worker is lost, Tune restarts the trial from this configuration, and counts this job's losses only.
        trial.set_config({"job": text})
        trial.run_metadata.num_failures, trial.max_failures = 0, self.retries
        # Ray keeps the order of one caller's calls, so this runs before the next step.
        trial.temporary_state.ray_actor.take.remote(text)
        return True


class LossCallback(tune.Callback):
    """Reports lost workers to the feed: that one is replaced, or that its trials failed because Tune gives up.

    A callback and not the scheduler, because a scheduler cannot tell a retry from the last error.
    """

    def __init__(self, scheduler: EventScheduler, resources: Resources, checkpoints: Place) -> None:
        self.scheduler, self.feed = scheduler, scheduler.feed
        self.resources, self.checkpoints = resources, checkpoints

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing, as for `JobSearcher`."""
        return {}

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        job = Job.from_json(trial.config["job"])
        why = loss_reason(trial, job, self.checkpoints, self.resources)
        if ran_out_of_memory(trial):
            # One more attempt, whatever `resources.retries` is.
            trial.max_failures = trial.num_failures
        elif killed_by_signal(
            job, self.checkpoints
        ) and trial.max_failures < self.resources.retries + max_signal_deaths(job):
            # Not counted here. The worker counts deaths by signals, because it knows which trial caused them.
            trial.max_failures += 1
        ended = self.scheduler.ended.get(trial.trial_id, set())
        # The next worker skips finished trials. A job without any other keeps its last trial: a job cannot be empty.
        left = tuple(spec for spec in job.trials if spec.key not in ended) or job.trials[-1:]
        trial.set_config({"job": job.model_copy(update={"trials": left}).to_json()})
        self.feed.tell([Notice(spec.key, f"its worker was lost, and is replaced: {why}") for spec in left])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        job = Job.from_json(trial.config["job"])
        why = loss_reason(trial, job, self.checkpoints, self.resources)
        lost = f"worker lost {trial.num_failures} times: {why}"
        reason = out_of_memory.reason(lost) if ran_out_of_memory(trial) else lost
        ends = list[Finished]()
        for spec in job.trials:
            record = killed.DeathRecord.of(self.checkpoints, spec.key)
            ends.append(
                record.give_up(spec.key, self.checkpoints) if record.last else Finished(spec.key, "failed", reason)
            )
        self.feed.tell(ends)
