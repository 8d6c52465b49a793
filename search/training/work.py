"""Run one job in this process: load the data once, train its trials, and report errors instead of raising them."""

from __future__ import annotations

import gc
import logging
import platform
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache

from resnet_space.errors import InputError
from search.data import DataSet, Images, load, steps_per_epoch
from search.files import failures
from search.files.bucket import Place
from search.kernels.gpu import prepare
from search.kernels.soundness import KernelReport
from search.training import killed
from search.training.execution import Execution
from search.training.fusion_speedup import check_job_kernels, speedup
from search.training.jobs import trials_by_shape
from search.training.out_of_memory import out_of_memory
from search.training.out_of_memory import reason as shortage
from search.training.train import train, train_together
from search.trials.events import Event, Finished, Notice
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

log = logging.getLogger(__name__)


def work(job: Job, resources: Resources, checkpoints: Place | None) -> Generator[Event]:
    """Train a job's trials, together if that is faster, else one after another, and yield their events.

    An exception ends its trial as `failed`, with reason and traceback, and the job continues: another attempt would
    only fail again. After a lack of memory the trial is tried once more, alone. Ctrl-C and the end of a worker are not
    `Exception`s, and are raised. If the generator is closed after an epoch, it writes a checkpoint of that epoch.

    If a signal kills this process, the next process finds a record of it: trials that trained together then train one
    by one, and a trial that has killed two processes is `failed`.
    """
    import torch

    torch.set_num_threads(resources.threads)
    with suppress(RuntimeError):
        # An error of a GPU is raised again by the trials that use it, which end with a reason.
        prepare(resources)
    ended: set[str] = set()
    tries = 2
    group = killed.DeathRecord.of(checkpoints, job.name, killed.GROUP_FILE)
    try:
        with closing(_train_together(job, resources, checkpoints, group)) as events:
            for event in events:
                ended |= {event.key} if isinstance(event, Finished) else set()
                yield event
    except Exception as error:
        # Either one trial failed, or all together, for example for lack of memory. Training each alone shows which.
        log.warning("trials that trained together now train one after another (%s)", type(error).__name__)
        tries = 1 if out_of_memory(error) else 2
    for spec in job.trials:
        if spec.key not in ended:
            yield from _train_alone(spec, job, resources, checkpoints, tries)
    group.forget()


def _train_alone(
    spec: TrialSpec, job: Job, resources: Resources, checkpoints: Place | None, tries: int
) -> Generator[Event]:
    """Train one trial, unless it has killed its process too often, and yield its events."""
    record = killed.DeathRecord.of(checkpoints, spec.key)
    deaths = record.deaths
    if len(deaths) >= killed.MAX_DEATHS:
        yield record.give_up(spec.key, checkpoints)
        return
    if deaths:
        yield Notice(spec.key, f"{deaths[-1]}; tried once more")
    with record.recording(), closing(_attempts(spec, job, resources, checkpoints, tries)) as events:
        for event in events:
            if isinstance(event, Finished):
                record.forget()
            yield event


def _attempts(
    spec: TrialSpec, job: Job, resources: Resources, checkpoints: Place | None, tries: int
) -> Generator[Event]:
    """Train one trial in up to `tries` attempts, and yield its events; a failure is the last of them."""
    folder = checkpoints / spec.key if checkpoints else None
    for left in reversed(range(tries)):
        try:
            images = _images(spec.data, spec.fingerprint, spec.data.division(spec.seed))
            found = check_job_kernels([spec], resources)
            yield from _kernel_notices(spec, found)
            execution = Execution.of(resources, found.detours)
            if left == 0 and tries > 1:
                # Not in the second attempt: a graph keeps its memory, and the last batch of an epoch needs more.
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
        # After the except clause: the tensors that the error's frames held are free now.
        _free_memory()
        yield Notice(spec.key, f"{reason}; tried once more")


def _kernel_notices(spec: TrialSpec, found: KernelReport) -> Iterator[Notice]:
    """Return notices about wrong kernels of this machine that are avoided."""
    return (Notice(spec.key, line, platform.node()) for line in found.lines)


def _free_memory() -> None:
    """Release memory that is allocated and not in use."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        # It raises after a failed recording.
        with suppress(RuntimeError):
            torch.cuda.empty_cache()


def _train_together(
    job: Job, resources: Resources, checkpoints: Place | None, record: killed.DeathRecord
) -> Generator[Event]:
    """Train a job's trials together and yield their events; yield none if they should train one by one."""
    first = job.trials[0]
    # Seeds with divisions of their own train on different images.
    if len(job.trials) == 1 or resources.fuse == "off" or first.data.split == "seed":
        return
    if deaths := record.deaths:
        yield Notice(first.key, f"{deaths[-1]}; trials that trained together now train one after another")
        return
    with record.recording():
        yield from _train_fused(job, resources, checkpoints)


def _train_fused(job: Job, resources: Resources, checkpoints: Place | None) -> Iterator[Event]:
    """Do the same if it is faster; nothing else prevents it."""
    first = job.trials[0]
    images = _images(first.data, first.fingerprint, None)
    steps = first.recipe.total_steps(steps_per_epoch(len(images.train), first.recipe.batch_size))
    for trials in _faster_together(job, images, resources, steps):
        found = check_job_kernels(trials, resources)
        yield from _kernel_notices(trials[0], found)
        folders = [checkpoints / spec.key if checkpoints else None for spec in trials]
        execution = Execution.of(resources, found.detours)
        yield from train_together(trials, images, folders=folders, probes=job.probes, execution=execution)


def _faster_together(job: Job, images: Images, resources: Resources, steps: int) -> Iterator[Sequence[TrialSpec]]:
    """Yield the trials to train as one network: all, or else those of each shape of network, if that is faster.

    It is measured, unless the job contains the decision. Fewer networks need less memory.
    """
    if job.together is not None:
        yield from [job.trials] * job.together
        return
    if speedup(job.trials, images, resources, steps=steps):
        yield job.trials
        return
    shapes = trials_by_shape(job.trials)
    for trials in shapes if len(shapes) > 1 else ():
        if speedup(trials, images, resources, steps=steps):
            yield trials


@lru_cache(maxsize=2)
def _images(data: DataSet, fingerprint: str, division: int | None) -> Images:
    images = load(data, seed=division or 0)
    if images.fingerprint != fingerprint:
        # The results would be stored under the fingerprint of other data.
        raise InputError(
            f"data set {data.name!r} has changed since the trial was planned "
            f"(fingerprint {images.fingerprint} now, {fingerprint} then)"
        )
    return images
