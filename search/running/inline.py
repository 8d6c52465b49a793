"""Run jobs in this process, one after another: for debugging, or without Ray."""

from __future__ import annotations

import os
import time
from contextlib import closing

from resnet_space.errors import InputError
from search.files.bucket import Place
from search.kernels.gpu import why_unusable
from search.running.feed import Feed
from search.running.preflight import Preflight
from search.running.share import PAUSE_SECONDS
from search.training.work import work
from search.trials.resources import Resources


def run(feed: Feed, *, resources: Resources, checkpoints: Place, preflight: Preflight | None = None) -> None:
    """Run all jobs of the feed in this process, and report each event to the feed as it happens.

    Raises:
        InputError: this machine lacks the CPUs or GPUs that one job asks for, or fails a check of `preflight`.
    """
    check(resources)
    if preflight:
        preflight.check_this_machine(1)
    feed.begin(1)
    while (job := feed.next()) or not feed.over:
        if job is None:
            # Another driver runs the trials that are left.
            time.sleep(PAUSE_SECONDS)
            continue
        with closing(work(job, resources, checkpoints)) as events:
            for event in events:
                if feed.tell([event]):
                    break


def check(resources: Resources) -> None:
    """Check that one job fits this machine.

    Raises:
        InputError: it has too few CPUs or GPUs, or torch cannot use its GPUs.
    """
    import torch

    have = {"cpus": os.cpu_count() or 1, "gpus": torch.cuda.device_count()}
    for name, number in have.items():
        asked = getattr(resources, name)
        if asked > number:
            raise InputError(f"resources.{name}: a trial asks for {asked:g}, and this machine has {number}")
    if resources.gpus and (why := why_unusable()):
        raise InputError(f"resources.gpus: torch {torch.__version__} cannot use any GPU of this machine: {why}")
