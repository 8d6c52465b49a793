"""A job with its attempts: after the loss of a worker its unfinished trials are tried again, up to a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from search.files.bucket import Place
from search.running.ray.lost_workers import killed_by_signal, loss_reason, max_signal_deaths, ran_out_of_memory
from search.training import killed, out_of_memory
from search.trials.events import Event, Finished, Notice
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec


@dataclass
class Attempt:
    """A job that a worker has, or that waits for another worker after it has lost one."""

    job: Job
    max_losses: int
    """The job is given up after more losses than this."""
    losses: int = 0
    ended: set[str] = field(default_factory=set)
    """Keys of its finished trials."""

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(spec.key for spec in self.job.trials)

    @property
    def left(self) -> tuple[TrialSpec, ...]:
        """The trials that have not finished."""
        return tuple(spec for spec in self.job.trials if spec.key not in self.ended)

    def without_ended(self) -> Attempt | None:
        """Return the attempt for its unfinished trials; None if all have finished."""
        if not (left := self.left):
            return None
        return Attempt(self.job.model_copy(update={"trials": left}), self.max_losses, self.losses)


@dataclass(frozen=True)
class Retries:
    """Whether a job that has lost its worker is tried again."""

    resources: Resources
    checkpoints: Place

    def after_loss(self, attempt: Attempt, error: Sequence[str]) -> tuple[Attempt | None, list[Event]]:
        """Return the next attempt, or None, and what to report about the job's unfinished trials."""
        attempt.losses += 1
        job, why = attempt.job, loss_reason(attempt.job, error, self.checkpoints, self.resources)
        no_memory = ran_out_of_memory(error)
        if attempt.losses > attempt.max_losses:
            lost = f"worker lost {attempt.losses} times: {why}"
            return None, self._ends(attempt.left, out_of_memory.reason(lost) if no_memory else lost)
        if no_memory:
            # One more attempt, whatever `resources.retries` is.
            attempt.max_losses = attempt.losses
        elif killed_by_signal(
            job, self.checkpoints
        ) and attempt.max_losses < self.resources.retries + max_signal_deaths(job):
            # Not counted here. The worker counts deaths by signals, because it knows which trial caused them.
            attempt.max_losses += 1
        text = f"its worker was lost, and is replaced: {why}"
        return attempt.without_ended(), [Notice(spec.key, text) for spec in attempt.left]

    def _ends(self, specs: Sequence[TrialSpec], reason: str) -> list[Event]:
        records = {spec.key: killed.DeathRecord.of(self.checkpoints, spec.key) for spec in specs}
        return [
            record.give_up(key, self.checkpoints) if record.last else Finished(key, "failed", reason)
            for key, record in records.items()
        ]
