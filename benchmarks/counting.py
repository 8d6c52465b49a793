"""How many times faster is counting a network unit by unit than as a whole, and are the totals equal?

fvcore counts every distinct unit of a network once, and the counts are added; the other side is fvcore on the complete
network. The totals compared are parameters, MACs and activations, for every preset and for random networks. A space
of 10,000 networks is counted with warm caches: new descriptions, the same units.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch
from measuring import ROUNDS, Goal, Measured, in_turns, main, median_of, ratio

from resnet_space import Architecture, Space, build, complexity, counter, preset
from resnet_space.presets import PRESETS

ALIKE, FASTER, PACE = Goal("most", 0, "networks"), Goal("least", 20), Goal("least", 2000, "networks/s")

SPACE = {
    "base": "resnet20",
    "axes": {
        "unit.shortcut.kind": [
            "identity",
            "constant_scaling",
            "exclusive_gate",
            "shortcut_only_gate",
            "conv1x1",
            "none",
        ],
        "unit.shortcut.gate_bias": {"low": -8, "high": 0, "step": 1},
        "unit.order": "all",
        "unit.branch.kind": ["basic", "bottleneck"],
        "unit.branch.cardinality": [1, 2, 4, 8],
        "width": [0.5, 1, 2],
        "transition": ["A", "B", "C"],
        "stages.0.units": {"low": 1, "high": 5},
        "stages.1.units": {"low": 1, "high": 5},
        "stages.2.units": {"low": 1, "high": 5},
    },
}
NETWORKS = 10_000
DEEP = "preresnet1001"


def measure(quick: bool) -> Iterator[Measured]:
    torch.set_num_threads(1)
    space = Space.of(SPACE)
    presets = [preset(name) for name in PRESETS]
    # Tracing a complete network of a thousand layers takes half a minute; it is compared below.
    small = [net for net in presets if net.depth < (30 if quick else 2000)]
    yield _unlike("presets", small)
    yield _unlike("random networks of a space", list(_drawn(space, 10 if quick else 500)))
    net = preset(DEEP)
    rounds = in_turns(lambda: _whole(net), lambda: _by_units(net), rounds=1 if quick else ROUNDS, warm_up=0)
    name = f"pre-activation ResNet-{net.depth}, nothing counted before"
    yield ratio(name, FASTER, rounds, names=("whole_s", "by_units_s"))
    yield _warm(space, 1000 if quick else NETWORKS)


def _unlike(what: str, nets: list[Architecture]) -> Measured:
    """Return the number of networks whose totals by units differ from those of the complete network."""
    different = [net.key for net in nets if _totals(complexity(net)) != _totals(_traced(net))]
    return median_of(f"{len(nets)} {what}: totals that differ", ALIKE, [len(different)], "networks", keys=different)


def _totals(found: counter.Complexity) -> tuple[int, int, int]:
    return found.params, found.macs, found.activations


def _traced(net: Architecture) -> counter.Complexity:
    return counter.count(build(net), net.input_shape)


def _whole(net: Architecture) -> float:
    model, began = build(net), time.perf_counter()
    counter.count(model, net.input_shape)
    return time.perf_counter() - began


def _forget() -> None:
    """Have networks counted anew from here on."""
    for kept in (counter._like, counter._unit, counter._ends):
        kept.cache_clear()
    counter._COUNTED.clear()


def _by_units(net: Architecture) -> float:
    _forget()
    fresh, began = Architecture.from_yaml(net.to_yaml()), time.perf_counter()
    complexity(fresh)
    return time.perf_counter() - began


def _warm(space: Space, networks: int) -> Measured:
    drawn = list(_drawn(space, networks))
    for net in drawn:
        complexity(net)
    paces = []
    for _ in range(ROUNDS):
        # Descriptions cache what they have computed, so each round uses new ones.
        fresh = [Architecture.of(net.model_dump(mode="json")) for net in drawn]
        began = time.perf_counter()
        for net in fresh:
            complexity(net)
        paces.append(networks / (time.perf_counter() - began))
    distinct = len({net.key for net in drawn})
    return median_of(f"a space of {networks:,}, caches warm", PACE, paces, "networks/s", distinct=distinct)


def _drawn(space: Space, networks: int) -> Iterator[Architecture]:
    seeds = random.Random(0)
    for _ in range(networks):
        yield space.sample(seed=seeds.randrange(2**31))


if __name__ == "__main__":
    main(measure, number=5, about=__doc__ or "")
