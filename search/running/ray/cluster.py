"""The Ray cluster of a run: join it, list its nodes, and call a function on each of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from resnet_space.errors import InputError
from search.running import capacity
from search.running.ray.joining import check_reachable, joining_error, joining_folder
from search.trials.resources import Resources


@contextmanager
def joined(address: str | None) -> Iterator[bool]:
    """Join the cluster at `address`, or start a local one, and leave it at the end. Yield whether it is local.

    A cluster that this process has joined already is used, and stays joined.

    Raises:
        InputError: there is no cluster at `address`, or Ray does not start.
    """
    if address:
        check_reachable(address)
    if ray.is_initialized():
        yield False
        return
    with joining_folder() as folder:
        try:
            with chdir(folder):
                ray.init(
                    address=address or "local",
                    include_dashboard=None if address else False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except (OSError, ValueError, RuntimeError) as error:
            raise joining_error(address, error) from None
        try:
            yield not address
        finally:
            ray.shutdown()


def check(resources: Resources) -> None:
    """Check that one job fits a node of the cluster. Ray alone would wait for ever.

    Raises:
        InputError: no node has the CPUs, the GPUs, or both together.
    """
    capacity.check(_nodes(), resources)


def workers(resources: Resources) -> int:
    """Return how many jobs the cluster can run at the same time."""
    return capacity.workers(_nodes(), resources)


def nodes_that_fit(resources: Resources) -> dict[str, str]:
    """Return the names for people of the nodes that one job fits, by node ID."""
    return {
        node["NodeID"]: _name(node)
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
        and node["Resources"].get("CPU", 0) >= resources.cpus
        and node["Resources"].get("GPU", 0) >= resources.gpus
    }


def node_name(node_id: str) -> str:
    """Return the name for people of a node."""
    return next((_name(node) for node in ray.nodes() if node["NodeID"] == node_id), f"node ({node_id[:8]})")  # type: ignore[no-untyped-call]


def call_on_each(
    nodes: Mapping[str, str], seconds: float, function: Callable[..., Any], *arguments: Any
) -> dict[str, Any]:
    """Call a function on each node, and return its results by node name. `nodes` has the names by node ID.

    Raises:
        InputError: nodes that did not answer within `seconds`, or whose call raised.
    """
    task = ray.remote(num_cpus=0, max_retries=0)(function)
    calls = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(*arguments): name
        for node, name in nodes.items()
    }
    ready, late = ray.wait(list(calls), num_returns=len(calls), timeout=seconds)
    answers, problems = {}, {calls[each]: f"did not answer within {seconds:.0f} s" for each in late}
    for each in late:
        ray.cancel(each, force=True)
    for each in ready:
        try:
            answers[calls[each]] = ray.get(each)
        except Exception as error:  # anything can be wrong on a node, such as another version of this package
            problems[calls[each]] = f"cannot answer: {str(error).strip().splitlines()[-1]}"
    if problems:
        lines = "\n".join(f"{name} {why}" for name, why in problems.items())
        raise InputError(f"{len(problems)} of {len(calls)} other nodes are not ready:\n{lines}")
    return answers


def _name(node: Mapping[str, Any]) -> str:
    return f"node {node['NodeManagerAddress']} ({node['NodeID'][:8]})"


def _nodes() -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
