"""Why a Ray worker was lost, from Ray's message and from the files that the worker left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from search.files import failures
from search.files.bucket import Place
from search.training import killed, out_of_memory
from search.trials.resources import Resources
from search.trials.trial import Job

ACTOR = re.compile(r"Actor\((\w+)\)")
"""A process in Ray's message about a lack of memory."""


def loss_reason(job: Job, error: Sequence[str], checkpoints: Place, resources: Resources) -> str:
    """Return in one line why the worker of this job was lost. `error` has the lines of Ray's message."""
    report = checkpoints / job.trials[0].key / failures.SILENT_FILE
    if isinstance(report, Path) and report.is_file() and report.stat().st_size:
        return f"silent for {resources.silent:g} s"
    return killed_by_signal(job, checkpoints) or failure_cause(error)


def failure_cause(error: Sequence[str]) -> str:
    """Return the line of Ray's message that says what happened."""
    if not error:
        return "no reason given"
    # A traceback starts with Ray's name for the call, and ends with the exception.
    return error[-1] if "ray::" in error[0] else error[0]


def ran_out_of_memory(error: Sequence[str]) -> bool:
    """Whether Ray killed the worker because its node ran out of memory. The kernel's own killer leaves no message."""
    return any(out_of_memory.MESSAGES.search(line) for line in error)


def killed_actors(error: Sequence[str]) -> set[str]:
    """Return Ray's IDs of the processes that it killed for lack of memory, from the lines of its message."""
    return {actor for line in error if "Selected to kill" in line for actor in ACTOR.findall(line)}


def killed_by_signal(job: Job, checkpoints: Place) -> str | None:
    """Return which signal killed the last worker of a job, from the files that this machine can read, else None."""
    alone = [killed.DeathRecord.of(checkpoints, spec.key) for spec in job.trials]
    # If a trial has been tried alone, the death of the group was earlier, and was reported then.
    tried = [record for record in alone if record.text]
    return next(
        (
            why
            for record in tried or [killed.DeathRecord.of(checkpoints, job.name, killed.GROUP_FILE)]
            if (why := record.last)
        ),
        None,
    )


def max_signal_deaths(job: Job) -> int:
    """How many workers a job can lose to signals: one for its trials together, then `killed.MAX_DEATHS` per trial."""
    return 1 + killed.MAX_DEATHS * len(job.trials)
