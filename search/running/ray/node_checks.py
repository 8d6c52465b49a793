"""The preflight checks on every node of a cluster."""

from __future__ import annotations

from dataclasses import asdict

import ray

from resnet_space import package_names as packages
from search.running import preflight as checks
from search.running.preflight import Preflight
from search.running.ray.cluster import call_on_each, nodes_that_fit, workers
from search.running.ray.joining import absolute_path
from search.trials.resources import Resources

# By value: `find_shadowing_package` must run on a node where another package has the name of one of ours.
ray.cloudpickle.register_pickle_by_value(packages)  # type: ignore[no-untyped-call]


def check_nodes(preflight: Preflight, resources: Resources, *, local: bool = False) -> None:
    """Check every node that a job fits. If this node is the only one, it is checked in this process.

    Workers of a `local` cluster have the import path of this process. Other nodes are first asked which packages they
    import under our names.

    Raises:
        InputError: the problems of nodes that are not ready or do not answer, by node name.
    """
    names = nodes_that_fit(resources)
    if not local:
        strangers = call_on_each(names, preflight.answer_seconds, packages.find_shadowing_package, None)
        preflight.raise_if_any({name: [line] for name, line in strangers.items() if line}, len(names))
    own = ray.get_runtime_context().get_node_id()
    if names.keys() <= {own}:
        preflight.check_this_machine(workers(resources))
        return
    others = {node: name for node, name in names.items() if node != own}
    with preflight.token() as asked:
        answers = call_on_each(others, preflight.answer_seconds, checks.check_node, asked)
        if own in names:
            answers[names[own]] = checks.check_node(asked)
        preflight.check_answers(answers, workers(resources))
    # Calls of their own, with a longer timeout: another node can be reading the data for the first time.
    for wanted, fingerprint in preflight.data:
        preflight.say(f"data set {wanted.name!r}: looking for it on {len(others)} more nodes")
        data = {**wanted.model_dump(mode="json"), "root": absolute_path(wanted.root)}
        wrong = call_on_each(others, preflight.data_seconds, checks.check_node_data, data, fingerprint)
        preflight.raise_if_any({name: [line] for name, line in wrong.items() if line}, len(names))
    for under, some in preflight.kernels.items():
        nets, conditions = [net.model_dump(mode="json") for net in some], asdict(under)
        bad = call_on_each(others, preflight.data_seconds, checks.check_node_kernels, nets, conditions)
        if own in names:
            bad[names[own]] = checks.check_node_kernels(nets, conditions)
        preflight.raise_if_any({name: lines for name, lines in bad.items() if lines}, len(names))
