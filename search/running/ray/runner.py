"""Run a feed's jobs on Ray Tune, on this machine or on an existing cluster."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import closing, redirect_stdout

from ray import tune

from search.files.bucket import Place
from search.running.feed import Feed
from search.running.preflight import Preflight
from search.running.ray.cluster import check, joined, workers
from search.running.ray.node_checks import check_nodes
from search.running.ray.scheduling import EventScheduler, JobSearcher, LossCallback, limited
from search.running.ray.worker import Work, Worker
from search.training.work import work
from search.trials.resources import Resources


def run(
    feed: Feed,
    *,
    resources: Resources,
    checkpoints: Place,
    address: str | None = None,
    preflight: Preflight | None = None,
    work: Work = work,
) -> None:
    """Run all jobs of the feed on Ray's workers, and report each event to the feed as it arrives.

    A lost worker (killed, or its node is gone) is replaced up to `resources.retries` times, and its trials resume from
    their last checkpoints. So `checkpoints` must be a folder that all nodes share, or a bucket.

    Raises:
        InputError: no node has the CPUs or GPUs that one job asks for, there is no cluster at `address`, or a node
            fails a check of `preflight`.
    """
    # Ray prints on stdout why its workers died; stdout is for results only.
    with redirect_stdout(sys.stderr), joined(address) as local:
        check(resources)
        if preflight:
            check_nodes(preflight, resources, local=local)
        number = workers(resources)
        feed.begin(number)
        scheduler = EventScheduler(feed, resources.retries)
        with tempfile.TemporaryDirectory(prefix="resnet-space-") as scratch, closing(scheduler):
            worker = tune.with_parameters(
                Worker, resources=resources, checkpoints=checkpoints, work=work, folder=os.getcwd()
            )
            tune.Tuner(
                tune.with_resources(worker, {"cpu": resources.cpus, "gpu": resources.gpus}),
                tune_config=tune.TuneConfig(
                    search_alg=limited(JobSearcher(feed), number if local else resources.at_once),
                    scheduler=scheduler,
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.trial_id,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    name="trials",
                    storage_path=scratch,
                    verbose=0,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                    failure_config=tune.FailureConfig(max_failures=resources.retries),
                    callbacks=[LossCallback(scheduler, resources, checkpoints)],
                ),
            ).fit()
