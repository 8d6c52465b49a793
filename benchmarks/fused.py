"""Seeds as one network against the same seeds one after another: how many times as fast are optimiser steps?

    python benchmarks/fused.py [--device cuda] [--pairs 7] [--only "NAME; NAME"]

Steps alone and together are taken in turns, so that a machine that is busy with something else slows both; a ratio is
the median over pairs, each of which has a step of every seed on both sides. On the CPU with one thread, as a worker
has. Networks are drawn anew, images are random. Prints a line a case, and writes `fused.json` (`fused_cuda.json`).
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch

from resnet_space import Architecture, preset
from search.atomic import write_text
from search.data import DataSet, Images, load
from search.folder import commit, machine, versions
from search.fused import Unfusable
from search.recipe import Recipe
from search.together import pace
from search.trial import TrialSpec

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """So many seeds of a network, in batches of so many images."""

    net: Architecture
    seeds: int
    batch: int
    autocast: str = "none"

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

CASES: dict[str, dict[str, Case]] = {
    "cpu": {
        **{f"demo, {name}": Case(DEMO.assign(changes), 3, 64) for name, changes in ARMS.items()},
        "resnet56 width 8 at 28x28": Case(on("resnet56", 1, 28, width=0.5), 3, 128),
        "resnet20 width 16 at 28x28": Case(on("resnet20", 1, 28), 3, 128),
    },
    "cuda": {
        "resnet20 at 32x32": Case(on("resnet20", 3, 32), 8, 128, "bf16"),
        "resnet110 at 32x32": Case(on("resnet110", 3, 32), 8, 128, "bf16"),
    },
}


def measured(case: Case, device: str, pairs: int) -> dict[str, Any]:
    """Seconds of a step of every seed, both ways, and their ratio; or why there is none."""
    channels, size, _ = case.net.input_shape
    data = DataSet(
        name="fake", size=size, channels=channels, classes=case.net.classes, samples=4 * case.batch, validation=0.1
    )
    images = load(data)
    facts = {"seeds": case.seeds, "batch": case.batch, "size": size, "pairs": pairs, "key": case.net.key}
    try:
        taken = pace(case.specs(images, data), images, device, pairs)
    except Unfusable as reason:
        return {**facts, "refused": str(reason)}
    ratios = [alone / together for alone, together in taken]
    return {
        **facts,
        "alone_s": median(alone for alone, _ in taken),
        "together_s": median(together for _, together in taken),
        "ratio": median(ratios),
        "least": min(ratios),
        "most": max(ratios),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=CASES, default="cpu")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--only", default="", help="names of cases, with semicolons")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cases = CASES[given.device]
    wanted = [name.strip() for name in given.only.split(";") if name.strip()] or list(cases)
    if unknown := set(wanted) - set(cases):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are: {'; '.join(cases)}")
    found = {}
    for name in wanted:
        found[name] = row = measured(cases[name], given.device, given.pairs)
        told = row.get("refused") or (
            f"{row['ratio']:.2f} times as fast ({row['least']:.2f} to {row['most']:.2f}), "
            f"{1000 * row['alone_s']:.0f} ms alone, {1000 * row['together_s']:.0f} ms together"
        )
        print(f"{name}, {row['seeds']} seeds, batch {row['batch']}: {told}", flush=True)
    here = {name: fact for name, fact in machine().items() if name != "host"}
    facts: dict[str, Any] = {"machine": here, "versions": versions(), "commit": commit(), "device": given.device}
    if given.device == "cuda":
        facts["gpu"] = torch.cuda.get_device_name()
    suffix = "" if given.device == "cpu" else f"_{given.device}"
    out = given.out or HERE / f"fused{suffix}.json"
    write_text(out, json.dumps({**facts, "cases": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
