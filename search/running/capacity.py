"""How many jobs fit the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resnet_space.errors import InputError
from search.trials.resources import Resources

Nodes = Sequence[Mapping[str, float]]
"""The resources of each node, for example `[{"CPU": 8, "GPU": 1}, {"CPU": 4}]`."""


def check(nodes: Nodes, resources: Resources) -> None:
    """Check that one job fits a node.

    Raises:
        InputError: no node has the CPUs, the GPUs, or both together.
    """
    for name, kind in (("cpus", "CPU"), ("gpus", "GPU")):
        asked, largest = getattr(resources, name), max(node.get(kind, 0) for node in nodes)
        if asked > largest:
            total = sum(node.get(kind, 0) for node in nodes)
            raise InputError(
                f"resources.{name}: a trial asks for {asked:g}, and no node of the cluster has more than {largest:g} "
                f"({total:g} on {len(nodes)} nodes)"
            )
    if not any(node.get("CPU", 0) >= resources.cpus and node.get("GPU", 0) >= resources.gpus for node in nodes):
        raise InputError(
            f"resources: a trial asks for {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, "
            "and no node of the cluster has both"
        )


def workers(nodes: Nodes, resources: Resources) -> int:
    """Return how many jobs can run at the same time, at least 1: an autoscaler can still add a node for it."""
    fit = sum(_jobs_that_fit(node, resources) for node in nodes)
    return max(1, min(fit, resources.at_once or fit))


def _jobs_that_fit(node: Mapping[str, float], resources: Resources) -> int:
    cpus = int(node.get("CPU", 0) / resources.cpus)
    if not resources.gpus:
        return cpus
    gpus = node.get("GPU", 0)
    # Ray never splits a fraction over two GPUs: three GPUs take three jobs of 0.7.
    fit = int(gpus) * int(1 / resources.gpus) if resources.gpus < 1 else int(gpus / resources.gpus)
    return min(cpus, fit)
