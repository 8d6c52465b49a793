"""One job, done where it is: the data loaded once a process, trials one after another, errors told and not raised."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Generator, Iterator
from functools import lru_cache
from pathlib import Path

from resnet_space.errors import InputError
from search.data import DataSet, Images, load, steps_per_epoch
from search.resources import Resources
from search.together import gain
from search.train import train, train_together
from search.trial import Event, Finished, Job

log = logging.getLogger(__name__)


def work(job: Job, resources: Resources, checkpoints: Path | None) -> Generator[Event]:
    """The events of a job's trials: together where that is faster, else one after another.

    An exception ends its trial as `failed`, with reason and traceback, and the job goes on: the next try would only
    fail again. What must not be swallowed (a killed worker, Ctrl-C) is no `Exception`.
    """
    import torch

    torch.set_num_threads(resources.threads)
    ended: set[str] = set()
    try:
        for event in _together(job, resources, checkpoints):
            ended |= {event.key} if isinstance(event, Finished) else set()
            yield event
    except Exception as error:
        # Of one trial, or of all as one, such as a lack of memory: each on its own shows whose it is.
        log.warning("trials that trained together go on one after another (%s)", type(error).__name__)
    for spec in job.trials:
        if spec.key in ended:
            continue
        try:
            folder = checkpoints / spec.key if checkpoints else None
            images = _images(spec.data, spec.fingerprint)
            yield from train(
                spec,
                images,
                device=resources.device,
                folder=folder,
                probes=job.probes,
                recompute=resources.recompute,
                recorded=resources.graphs,
            )
        except Exception as error:
            reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
            yield Finished(spec.key, "failed", reason, traceback=traceback.format_exc())


def _together(job: Job, resources: Resources, checkpoints: Path | None) -> Iterator[Event]:
    """The events of a job whose trials train as one network; none of one whose trials do not."""
    first = job.trials[0]
    if len(job.trials) == 1 or resources.fuse == "off":
        return
    images = _images(first.data, first.fingerprint)
    steps = first.recipe.total_steps(steps_per_epoch(len(images.train), first.recipe.batch_size))
    faster = job.together if job.together is not None else gain(job.trials, images, resources, steps=steps)
    if faster:
        folders = [checkpoints / spec.key if checkpoints else None for spec in job.trials]
        yield from train_together(
            job.trials,
            images,
            device=resources.device,
            folders=folders,
            probes=job.probes,
            recompute=resources.recompute,
            recorded=resources.graphs,
        )


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
