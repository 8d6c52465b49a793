"""One job, done where it is: the data loaded once a process, trials one after another, errors told and not raised."""

from __future__ import annotations

import faulthandler
import gc
import logging
import platform
import tempfile
import traceback
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from resnet_space.errors import InputError
from search.data import DataSet, Images, load, steps_per_epoch
from search.files import failures
from search.files.bucket import Place
from search.kernels.gpu import prepare
from search.kernels.soundness import Found
from search.training import killed
from search.training.execution import Execution
from search.training.fusing_pays import checked, gain
from search.training.out_of_memory import out_of_memory
from search.training.out_of_memory import reason as shortage
from search.training.train import train, train_together
from search.trials.events import Event, Finished, Notice
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

log = logging.getLogger(__name__)


def work(job: Job, resources: Resources, checkpoints: Place | None) -> Generator[Event]:
    """The events of a job's trials: together where that is faster, else one after another.

    An exception ends its trial as `failed`, with reason and traceback, and the job goes on: the next try would only
    fail again. But for want of memory it is tried once more, alone. What must not be swallowed (a killed worker,
    Ctrl-C) is no `Exception`. Closed after an epoch, it leaves a checkpoint of that epoch.

    What kills this process by a signal is found by the next one: trials that trained together then go one by one, and a
    trial that has killed two of its processes is `failed`.
    """
    import torch

    torch.set_num_threads(resources.threads)
    with suppress(RuntimeError):
        # What is wrong with a GPU ends the trials that want it, with a reason.
        prepare(resources)
    ended: set[str] = set()
    tries = 2
    group = killed.Record.of(checkpoints, job.name, killed.TOGETHER)
    try:
        with closing(_together(job, resources, checkpoints, group)) as events:
            for event in events:
                ended |= {event.key} if isinstance(event, Finished) else set()
                yield event
    except Exception as error:
        # Of one trial, or of all as one, such as a lack of memory: each on its own shows whose it is.
        log.warning("trials that trained together go on one after another (%s)", type(error).__name__)
        tries = 1 if out_of_memory(error) else 2
    for spec in job.trials:
        if spec.key not in ended:
            yield from _alone(spec, job, resources, checkpoints, tries)
    group.forget()


def _alone(spec: TrialSpec, job: Job, resources: Resources, checkpoints: Place | None, tries: int) -> Generator[Event]:
    """The events of one trial, unless it has killed its process too often."""
    record = killed.Record.of(checkpoints, spec.key)
    deaths = record.deaths
    if len(deaths) >= killed.TRIES:
        yield record.end(spec.key, checkpoints)
        return
    if deaths:
        yield Notice(spec.key, f"{deaths[-1]}; tried once more")
    with record.kept(), closing(_tried(spec, job, resources, checkpoints, tries)) as events:
        for event in events:
            if isinstance(event, Finished):
                record.forget()
            yield event


def _tried(spec: TrialSpec, job: Job, resources: Resources, checkpoints: Place | None, tries: int) -> Generator[Event]:
    """The events of one trial, its failure one of them."""
    folder = checkpoints / spec.key if checkpoints else None
    for left in reversed(range(tries)):
        try:
            images = _images(spec.data, spec.fingerprint)
            found = checked([spec], resources)
            yield from _noticed(spec, found)
            execution = Execution.of(resources, found.detours)
            if left == 0 and tries > 1:
                # The second time without: a graph keeps its memory, and the last batch of an epoch needs more.
                execution = replace(execution, recorded=False)
            yield from train(spec, images, folder=folder, probes=job.probes, execution=execution)
            return
        except Exception as error:
            short, text = out_of_memory(error), str(error)
            reason = shortage(text) if short else f"{type(error).__name__}: {next(iter(text.splitlines()), '')}"
            if not short or not left:
                if folder:
                    failures.write_traceback(folder, traceback.format_exc())
                yield Finished(spec.key, "failed", reason, traceback=traceback.format_exc())
                return
        # Behind the except: with the error go the tensors that its frames held.
        _free()
        yield Notice(spec.key, f"{reason}; tried once more")


def _noticed(spec: TrialSpec, found: Found) -> Iterator[Notice]:
    """What is wrong with this machine's kernels, and avoided."""
    return (Notice(spec.key, line, platform.node()) for line in found.lines)


def watched(events: Iterator[Event], resources: Resources, folder: Place) -> Generator[Event]:
    """The events of a process that ends itself if one lets wait for `resources.silent` seconds.

    Where it hung is then written in `folder`, or on this machine's own disk where that is in a bucket.
    The clock is C's, and runs on where Python is stuck.
    """
    if resources.silent is None:
        yield from events
        return
    place = folder if isinstance(folder, Path) else Path(tempfile.mkdtemp(prefix="resnet-space-silent-"))
    report = place / failures.SILENT_FILE
    place.mkdir(parents=True, exist_ok=True)
    with report.open("w") as file:
        while True:
            faulthandler.dump_traceback_later(resources.silent, exit=True, file=file)
            try:
                event = next(events, None)
            finally:
                faulthandler.cancel_dump_traceback_later()
            if event is None:
                break
            yield event
    report.unlink()
    if place != folder:
        place.rmdir()


def _free() -> None:
    """Give back what was allocated and is not in use."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        # Refused where a recording failed.
        with suppress(RuntimeError):
            torch.cuda.empty_cache()


def _together(job: Job, resources: Resources, checkpoints: Place | None, record: killed.Record) -> Generator[Event]:
    """The events of a job whose trials train as one network; none of one whose trials do not."""
    first = job.trials[0]
    if len(job.trials) == 1 or resources.fuse == "off":
        return
    if deaths := record.deaths:
        yield Notice(first.key, f"{deaths[-1]}; trials that trained together go on one after another")
        return
    with record.kept():
        yield from _as_one(job, resources, checkpoints)


def _as_one(job: Job, resources: Resources, checkpoints: Place | None) -> Iterator[Event]:
    """The same, where nothing speaks against it but that it may not be faster."""
    first = job.trials[0]
    images = _images(first.data, first.fingerprint)
    steps = first.recipe.total_steps(steps_per_epoch(len(images.train), first.recipe.batch_size))
    faster = job.together if job.together is not None else gain(job.trials, images, resources, steps=steps)
    if faster:
        found = checked(job.trials, resources)
        yield from _noticed(first, found)
        folders = [checkpoints / spec.key if checkpoints else None for spec in job.trials]
        execution = Execution.of(resources, found.detours)
        yield from train_together(job.trials, images, folders=folders, probes=job.probes, execution=execution)


@lru_cache(maxsize=2)
def _images(data: DataSet, fingerprint: str) -> Images:
    images = load(data)
    if images.fingerprint != fingerprint:
        # Its numbers would be stored under a name that means other data.
        raise InputError(
            f"data set {data.name!r} is not what it was when the trial was planned "
            f"(fingerprint {images.fingerprint} here, {fingerprint} there)"
        )
    return images
