"""Run a feed's jobs on Ray's workers, on this machine or on an existing cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from functools import partial
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.files.bucket import Place
from search.running.feed import Feed
from search.running.preflight import Preflight, compare_versions, versions
from search.running.ray.attempts import Retries
from search.running.ray.cluster import check, joined, node_name, workers
from search.running.ray.dispatcher import Dispatcher
from search.running.ray.exchange import Exchange
from search.running.ray.messages import Joined
from search.running.ray.node_checks import check_nodes
from search.running.ray.worker import Work
from search.running.ray.workforce import Demand, Workforce
from search.trials.resources import Resources
from search.trials.trial import Job

MAX_CALLS = 1_000_000
"""Calls that can wait in the exchange at the same time: each worker has two."""


def run(
    feed: Feed,
    *,
    resources: Resources,
    checkpoints: Place,
    address: str | None = None,
    preflight: Preflight | None = None,
    work: Work | None = None,
) -> None:
    """Run all jobs of the feed on Ray's workers, and report their events to the feed as they arrive.

    A lost worker (killed, or its node is gone) is replaced, and its trials resume from their last checkpoints, up to
    `resources.retries` times. So `checkpoints` must be a folder that all nodes share, or a bucket. Jobs are trained by
    `search.training.work.work`, or by the given `work`.

    Raises:
        InputError: no node has the CPUs or GPUs that one job asks for, there is no cluster at `address`, a node
            fails a check of `preflight`, or workers cannot start.
    """
    # Ray prints on stdout why its workers died; stdout is for results only.
    with redirect_stdout(sys.stderr), joined(address) as local:
        check(resources)
        if preflight and not local:
            check_nodes(preflight, resources)
        number = workers(resources)
        feed.begin(number)
        # On a cluster another worker waits for a place.
        demand = Demand(partial(workers, resources), spare=0 if local or resources.at_once else 1)
        exchange = start_exchange()
        say = preflight.say if preflight else print
        with Workforce(demand, exchange, resources=resources, checkpoints=checkpoints, work=work) as workforce:
            if preflight and local:
                # While the workers start.
                check_nodes(preflight, resources, local=True)
            dispatcher = Dispatcher(
                feed,
                exchange,
                workforce,
                Retries(resources, checkpoints),
                is_fit=partial(is_fit, say=say),
                say=say,
            )
            first = dispatcher.prepare(number)
            if local and work is None:
                check_first_kernels(first, resources)
            dispatcher.run()


def check_first_kernels(jobs: Sequence[Job], resources: Resources) -> None:
    """Check the kernels of the first jobs for their workers, which are still starting; the results are cached."""
    from resnet_space.fused import Unfusable
    from search.kernels.soundness import FaultyKernel
    from search.training.fusion_speedup import check_job_kernels

    for job in jobs if resources.device == "cpu" else ():
        # The workers will find the same.
        with suppress(Unfusable, FaultyKernel):
            check_job_kernels(job.trials, resources)


def start_exchange() -> Any:
    """Start the exchange on the driver's node, so that it ends with the driver, and return its handle."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "max_concurrency": MAX_CALLS, "scheduling_strategy": here}
    return ray.remote(Exchange).options(**options).remote()


def is_fit(worker: Joined, say: Callable[[str], None]) -> bool:
    """Whether a worker has the driver's versions. Its node can have joined after the nodes were checked."""
    refused, _ = compare_versions(versions(), worker.versions)
    for line in refused:
        say(f"{node_name(worker.node)} gets no trials: it has {line}")
    return not refused
