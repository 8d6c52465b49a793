"""How many times faster do the seeds of an arm train as one network than one after another?

Optimiser steps alone and together alternate; a ratio is the median over pairs, each of which has one step of every seed
on both sides. It uses one thread, as a worker does, new networks and random images. A study never fuses seeds that are
slower together: `chosen` in the file is its choice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch
from measuring import Goal, Measured, main, ratio

from resnet_space import Architecture, preset
from search.data import DataSet, Images, load
from search.training.fusing_pays import MARGIN, pace
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
QUICK = ("demo's arm: identity", "demo's arm: exclusive gate")


def measure(quick: bool) -> Iterator[Measured]:
    torch.set_num_threads(1)
    yield from measured((case for case in CASES if not quick or case.name in QUICK), "cpu", 5 if quick else 9)


def measured(cases: Iterable[Case], device: str, pairs: int) -> Iterator[Measured]:
    for case in cases:
        channels, size, _ = case.net.input_shape
        settings: dict[str, Any] = {"size": size, "channels": channels, "classes": case.net.classes}
        data = DataSet(name="fake", samples=4 * case.batch, validation=0.1, **settings)
        images = load(data)
        taken = pace(case.specs(images, data), images, device, pairs, recorded=case.recorded)
        facts = {"seeds": case.seeds, "batch": case.batch, "key": case.net.key, "recorded": case.recorded}
        name = f"{case.name}, {case.seeds} seeds, batch {case.batch}"
        found = ratio(name, case.goal, taken, names=("alone_s", "together_s"), **facts)
        yield Measured(
            **vars(found) | {"details": {**found.details, "chosen": "together" if found.value >= MARGIN else "alone"}}
        )


if __name__ == "__main__":
    main(measure, number=2, about=__doc__ or "")
