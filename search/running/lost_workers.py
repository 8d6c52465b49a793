"""Why a worker of Ray's was lost: by what Tune wrote of it, and by what it left itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search.files import failures
from search.files.bucket import Place
from search.training import killed, out_of_memory
from search.trials.resources import Resources
from search.trials.trial import Job


def reason(trial: Any, job: Job, checkpoints: Place, resources: Resources) -> str:
    """Why the worker that did this job was lost, in a line."""
    report = checkpoints / job.trials[0].key / failures.SILENT_FILE
    if isinstance(report, Path) and report.is_file() and report.stat().st_size:
        return f"silent for {resources.silent:g} s"
    return killed_by_signal(job, checkpoints) or cause(trial)


def cause(trial: Any) -> str:
    """Why a Tune trial failed the last time, in a line, without times and process numbers: equal reasons are counted.

    Read where Tune writes it first: `Trial.get_error` reads a copy that may come later.
    """
    lines = last_failure(trial)
    if not lines:
        return "no reason given"
    # A traceback begins with Ray's name for the call, and ends in what was raised.
    return lines[-1] if "ray::" in lines[0] else lines[0]


def short_of_memory(trial: Any) -> bool:
    """Whether Ray ended a Tune trial's worker since its node had no memory left. The kernel does not say."""
    return any(out_of_memory.WORDS.search(line) for line in last_failure(trial))


def last_failure(trial: Any) -> list[str]:
    """What Tune wrote of a trial's last failure, line by line."""
    text = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
    return [line.strip() for line in text.rpartition("Failure # ")[2].splitlines()[1:] if line.strip()]


def killed_by_signal(job: Job, checkpoints: Place) -> str | None:
    """What killed the worker that did a job last, if that was a signal, by the files that this machine can read."""
    alone = [killed.Record.of(checkpoints, spec.key) for spec in job.trials]
    # Where one of them has been tried on its own, what the group died of is long known.
    tried = [record for record in alone if record.text]
    return next(
        (why for record in tried or [killed.Record.of(checkpoints, job.name, killed.TOGETHER)] if (why := record.last)),
        None,
    )


def most_deaths(job: Job) -> int:
    """Workers that a job may lose by signals: one by its trials together, and two by each of them."""
    return 1 + killed.TRIES * len(job.trials)
