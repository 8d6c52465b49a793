"""How many times faster do the seeds of an arm train as one network than one after another, and arms as one network?

Optimiser steps alone and together alternate; a ratio is the median over pairs, each of which has one step of every seed
on both sides. It uses one thread, as a worker does, new networks and random images. A study never fuses seeds that are
slower together: `chosen` in the file is its choice. Arms that differ in their shortcuts are compared as one network and
as one network each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch
from measuring import Goal, Measured, in_turns, main, ratio

from resnet_space import Architecture, preset
from search.data import DataSet, Images, load
from search.training.fusion_speedup import MIN_SPEEDUP, time_steps
from search.training.members import Group, Member
from search.training.step import make_stepper
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec


@dataclass(frozen=True)
class Case:
    """A network, the number of its seeds, and the number of images per batch."""

    name: str
    net: Architecture
    seeds: int
    batch: int
    goal: Goal | None
    autocast: str = "none"
    recorded: bool = False

    def specs(self, images: Images, data: DataSet) -> list[TrialSpec]:
        recipe = Recipe.of({"epochs": 1, "batch_size": self.batch, "autocast": self.autocast, "lr": 0.01})
        shared: dict[str, Any] = {"recipe": recipe, "data": data, "fingerprint": images.fingerprint}
        return [TrialSpec(architecture=self.net, seed=seed, **shared) for seed in range(self.seeds)]


def on(net: str, channels: int, size: int, **changes: Any) -> Architecture:
    return preset(net).assign({"input_shape": [channels, size, size], **changes})


DEMO = on("resnet56", 1, 8, width=0.5)
ARMS: dict[str, dict[str, Any]] = {
    "identity": {},
    "constant scaling": {"unit.shortcut": {"kind": "constant_scaling"}},
    "exclusive gate": {"unit.shortcut": {"kind": "exclusive_gate"}},
    "shortcut-only gate": {"unit.shortcut": {"kind": "shortcut_only_gate"}},
    "1x1 convolution": {"unit.shortcut": {"kind": "conv1x1"}},
    "full pre-activation": {"unit.order": "full_preactivation"},
}
FASTER = Goal("least", 1.7)

CASES = (
    *(Case(f"demo's arm: {name}", DEMO.assign(changes), 3, 64, FASTER) for name, changes in ARMS.items()),
    Case("demo's arm: identity", DEMO, 2, 64, None),
    Case("demo's arm: identity", DEMO, 5, 64, None),
    Case("ResNet-56 width 8 at 28x28", on("resnet56", 1, 28, width=0.5), 3, 128, None),
    Case("ResNet-20 width 16 at 28x28", on("resnet20", 1, 28), 3, 128, None),
)


@dataclass(frozen=True)
class Mixture:
    """Arms that differ in their shortcuts, and the number of seeds of each."""

    name: str
    shortcuts: Sequence[Any]
    seeds: int

    def arms(self, images: Images, data: DataSet) -> list[list[TrialSpec]]:
        """Return the trials of each arm."""
        nets = [DEMO.assign({"unit.shortcut": kind}) for kind in self.shortcuts]
        return [Case("", net, self.seeds, 64, None).specs(images, data) for net in nets]


SCALED = [
    {"kind": "constant_scaling", "shortcut_scale": a, "branch_scale": b} for a, b in ((0, 1), (0.5, 1), (0.5, 0.5))
]
MIXTURES = (
    *(Mixture("identity and 3 constant scalings", ["identity", *SCALED], seeds) for seeds in (1, 2)),
    *(Mixture("exclusive and shortcut-only gate", ["exclusive_gate", "shortcut_only_gate"], seeds) for seeds in (1, 2)),
    *(Mixture("identity, 1x1 convolution, dropout", ["identity", "conv1x1", "dropout"], seeds) for seeds in (1, 2)),
)
QUICK = ("demo's arm: identity", "demo's arm: exclusive gate")


def measure(quick: bool) -> Iterator[Measured]:
    torch.set_num_threads(1)
    pairs = 5 if quick else 9
    yield from measured((case for case in CASES if not quick or case.name in QUICK), "cpu", pairs)
    data = DataSet(name="fake", samples=256, validation=0.1, size=8, channels=1, classes=DEMO.classes)
    images = load(data)
    for mixture in MIXTURES[: 1 if quick else None]:
        arms = mixture.arms(images, data)
        each, whole = [stepper(arm) for arm in arms], stepper([spec for arm in arms for spec in arm])
        taken = in_turns(lambda each=each: sum(take() for take in each), whole, rounds=pairs)
        name = f"{mixture.name}, {mixture.seeds} seed{'s' * (mixture.seeds > 1)}: arms as one network"
        yield ratio(name, None, taken, names=("arms_apart_s", "together_s"), seeds=mixture.seeds, batch=64)


def stepper(specs: Sequence[TrialSpec]) -> Callable[[], float]:
    """Return a function that takes a step of trials as one network, and returns its seconds of processor time."""
    group = Group([Member.of(spec, None, "cpu") for spec in specs])
    group.model.train()
    take, random = make_stepper(group, "cpu"), torch.Generator().manual_seed(0)
    recipe, shape = specs[0].recipe, specs[0].architecture.input_shape
    xs = [torch.randn(recipe.batch_size, *shape, generator=random) for _ in specs]
    ys = [torch.randint(specs[0].architecture.classes, (recipe.batch_size,), generator=random) for _ in specs]

    def seconds() -> float:
        began = time.thread_time()
        take(xs, ys, recipe.lr)
        return time.thread_time() - began

    return seconds


def measured(cases: Iterable[Case], device: str, pairs: int) -> Iterator[Measured]:
    for case in cases:
        channels, size, _ = case.net.input_shape
        settings: dict[str, Any] = {"size": size, "channels": channels, "classes": case.net.classes}
        data = DataSet(name="fake", samples=4 * case.batch, validation=0.1, **settings)
        images = load(data)
        taken = time_steps(case.specs(images, data), images, device, pairs, recorded=case.recorded)
        facts = {"seeds": case.seeds, "batch": case.batch, "key": case.net.key, "recorded": case.recorded}
        name = f"{case.name}, {case.seeds} seeds, batch {case.batch}"
        found = ratio(name, case.goal, taken, names=("alone_s", "together_s"), **facts)
        yield Measured(
            **vars(found)
            | {"details": {**found.details, "chosen": "together" if found.value >= MIN_SPEEDUP else "alone"}}
        )


if __name__ == "__main__":
    main(measure, number=2, about=__doc__ or "")
