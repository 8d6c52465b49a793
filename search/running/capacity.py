"""What the nodes of a cluster have room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resnet_space.errors import InputError
from search.trials.resources import Resources

Nodes = Sequence[Mapping[str, float]]
"""Of each node, how many it has: `CPU`, `GPU`."""


def check(nodes: Nodes, resources: Resources) -> None:
    """Raises `InputError` unless one job fits a node."""
    for name, kind in (("cpus", "CPU"), ("gpus", "GPU")):
        asked, most = getattr(resources, name), max(node.get(kind, 0) for node in nodes)
        if asked > most:
            whole = sum(node.get(kind, 0) for node in nodes)
            raise InputError(
                f"resources.{name}: a trial asks for {asked:g}, and no node of the cluster has more than {most:g} "
                f"({whole:g} on {len(nodes)} nodes)"
            )
    if not any(node.get("CPU", 0) >= resources.cpus and node.get("GPU", 0) >= resources.gpus for node in nodes):
        raise InputError(
            f"resources: a trial asks for {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, "
            "and no node of the cluster has both"
        )


def workers(nodes: Nodes, resources: Resources) -> int:
    """Jobs that can run at the same time; 1 where there is no room for any, so that one can be waited for."""
    room = sum(_jobs(node, resources) for node in nodes)
    return max(1, min(room, resources.at_once or room))


def _jobs(node: Mapping[str, float], resources: Resources) -> int:
    cpus = int(node.get("CPU", 0) / resources.cpus)
    if not resources.gpus:
        return cpus
    gpus = node.get("GPU", 0)
    # A fraction is of one GPU: three GPUs take three jobs of 0.7.
    fit = int(gpus) * int(1 / resources.gpus) if resources.gpus < 1 else int(gpus / resources.gpus)
    return min(cpus, fit)
