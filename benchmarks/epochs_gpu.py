"""How long is an epoch of 50,000 images of 32x32 on a GPU, and how many times as fast as with eager steps?

Batches of 128 in bf16, channels last, data and augmentation on the device, fused SGD. Steps kernel by kernel, recorded
as a CUDA graph, compiled, and compiled and recorded are taken in turns, some at a time; an epoch is 391 times a step,
shuffling, cropping and copying included. With the floors of an ideally fused step, and of one as Inductor fuses.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from measuring import Goal, Measured, in_turns, main, ratio, several

from resnet_space import build, preset
from search.data import DataSet, Images, Split, batches, load
from search.members import Group, Member
from search.recipe import Recipe
from search.step import BEFORE_RECORDING, stepping
from search.trial import TrialSpec

IMAGES, BATCH = 50_000, 128
STEPS_AN_EPOCH = -(-IMAGES // BATCH)
SAMPLES = 20 * BATCH
"""Random images that are gone through: what is in them costs nothing."""

PASSES = {"ideally fused": 7.5, "as Inductor fuses": 15.5}
"""Times that a step reads or writes all of its convolutions' outputs, in bf16, at the least."""
BYTES_A_SECOND = {"NVIDIA H200": 4.3e12}


@dataclass(frozen=True)
class Case:
    net: str
    epoch: Goal
    faster: Goal | None
    compiled: bool
    """Compiling a thousand layers takes longer than all else here."""


CASES = (
    Case("resnet20", Goal("most", 0.35, "s"), None, True),
    Case("resnet110", Goal("most", 1.5, "s"), Goal("least", 2.5), True),
    Case("preresnet1001", Goal("most", 20, "s"), None, False),
)


def measure(quick: bool) -> Iterator[Measured]:
    data = DataSet(name="fake", size=32, channels=3, classes=10, samples=SAMPLES * 10 // 9, validation=0.1)
    images = load(data)
    for case in CASES[: 1 if quick else None]:
        ways = [(False, False), (False, True), *([(True, False), (True, True)] if case.compiled else [])]
        names = {way: _name(*way) for way in ways}
        sides = [_epochs(case.net, images, data, compiled=compiled, recorded=recorded) for compiled, recorded in ways]
        rounds = in_turns(*sides, rounds=5, warm_up=1)
        floors = _floors(case.net)
        seconds = dict(zip(ways, zip(*rounds, strict=True), strict=True))
        best = min(ways, key=lambda way: sorted(seconds[way])[len(rounds) // 2])
        for way in ways:
            goal = case.epoch if way == best else None
            yield several(f"{case.net}, an epoch, {names[way]}", goal, seconds[way], **floors)
        pairs = zip(seconds[False, False], seconds[best], strict=True)
        yield ratio(f"{case.net}, {names[best]} over eager", case.faster, pairs, names=("eager_s", "best_s"))
        torch.cuda.empty_cache()


def _name(compiled: bool, recorded: bool) -> str:
    return " and ".join(["compiled"] * compiled + ["a CUDA graph"] * recorded) or "eager"


def _epochs(net: str, images: Images, data: DataSet, *, compiled: bool, recorded: bool) -> Callable[[], float]:
    """Measures the seconds of an epoch, from some steps of it."""
    settings: dict[str, Any] = {"batch_size": BATCH, "lr": 0.01, "autocast": "bf16", "compile": compiled}
    recipe = Recipe.of({"epochs": 1, "augmentation": {"pad": 4, "flip": True}, **settings})
    spec = TrialSpec(architecture=preset(net), recipe=recipe, data=data, fingerprint=images.fingerprint, seed=0)
    group = Group([Member.of(spec, None, "cuda")])
    group.model.train()
    take = stepping(group, "cuda", recorded=recorded)
    split = images.train.to("cuda")
    feed = itertools.chain.from_iterable(_batches(split, images, recipe, epoch) for epoch in itertools.count())

    def steps(number: int) -> float:
        torch.cuda.synchronize()
        began = time.perf_counter()
        losses = [take([x], [y], recipe.lr)[0] for x, y in itertools.islice(feed, number)]
        finite = bool(torch.stack(losses).isfinite().all())
        taken = time.perf_counter() - began
        assert finite, f"{net}: losses are not finite"
        return taken / number

    steps(BEFORE_RECORDING + 1)
    return lambda: STEPS_AN_EPOCH * steps(SAMPLES // BATCH)


def _batches(split: Split, images: Images, recipe: Recipe, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return batches(
        split,
        batch_size=BATCH,
        mean=images.mean,
        std=images.std,
        seed=0,
        epoch=epoch,
        augmentation=recipe.augmentation,
        device="cuda",
    )


def _floors(net: str) -> dict[str, float]:
    """Seconds an epoch that moving the convolutions' outputs takes at the least, where the memory's pace is known."""
    pace = BYTES_A_SECOND.get(torch.cuda.get_device_name())
    moved = 2 * IMAGES * _outputs(net)
    return {f"floor_{name}_s": passes * moved / pace for name, passes in PASSES.items()} if pace else {}


def _outputs(net: str) -> int:
    """Output elements of an image's convolutions; not by fvcore, which such a machine need not have."""
    found: list[int] = []
    with torch.device("meta"), torch.no_grad():
        model = build(preset(net)).eval()
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(lambda _, __, output: found.append(output.numel()))
        model(torch.zeros(1, 3, 32, 32))
    return sum(found)


if __name__ == "__main__":
    main(measure, number=4, about=__doc__ or "", gpu=True)
