"""One job, done where it is: the data loaded once a process, trials one after another, errors told and not raised."""

from __future__ import annotations

import traceback
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path

from resnet_space.errors import InputError
from search.data import DataSet, Images, load
from search.resources import Resources
from search.train import train
from search.trial import Event, Finished, Job


def work(job: Job, resources: Resources, checkpoints: Path | None) -> Generator[Event]:
    """The events of a job's trials.

    An exception ends its trial as `failed`, with reason and traceback, and the job goes on: the next try would only
    fail again. What must not be swallowed (a killed worker, Ctrl-C) is no `Exception`.
    """
    import torch

    torch.set_num_threads(resources.threads)
    for spec in job.trials:
        try:
            folder = checkpoints / spec.key if checkpoints else None
            images = _images(spec.data, spec.fingerprint)
            yield from train(spec, images, device=resources.device, folder=folder, probes=job.probes)
        except Exception as error:
            reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
            yield Finished(spec.key, "failed", reason, traceback=traceback.format_exc())


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
