"""How long is an epoch of 50,000 images of 32x32 on a GPU, and how many times faster than with eager steps?

Batches of 128 in bf16, channels last, data and augmentation on the device, fused SGD. Four kinds of steps alternate:
kernel by kernel, recorded as a CUDA graph, compiled, and compiled and recorded, all on full batches. An epoch is 391
steps, including shuffling, cropping and copying. The baseline is a plain loop around `torch.compile` with torch's own
graphs (`reduce-overhead`), on the same batches. The results include the floors on an H100 and an H200: the least time
of an ideally fused step, and of a step as Inductor fuses it.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from measuring import Goal, Measured, in_turns, main, median_of, ratio
from sizes import WHOLE, Size
from torch.nn import functional

from resnet_space import Architecture, build
from search.data import Images, Split, batches
from search.training.forecast import now
from search.training.members import Group, Member, beginning
from search.training.step import BEFORE_RECORDING, autocast, stepping
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

IMAGES = 50_000

PASSES = {"ideally fused": 7.5, "as Inductor fuses": 15.5}
"""The least number of times that a step reads or writes all outputs of its convolutions, in bf16."""
BYTES_A_SECOND = {"H100": 3.0e12, "H200": 4.3e12}
"""Bandwidth of their memory (HBM3 and HBM3e), measured by copying."""

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes an optimiser step on images and labels, and returns the loss."""
Make = Callable[..., TrialSpec]
"""From settings of a recipe to a trial of the case's network."""
Start = Callable[[Make, str], Step]
Failed = Callable[[str, Exception], None]
"""Called with the name of a measurement that failed, and the error."""


@dataclass(frozen=True)
class Case:
    net: str
    epoch: Goal | None
    faster: Goal | None
    compiled: bool
    """Whether to measure compiled steps: compiling a thousand layers takes longer than everything else here."""


CASES = (
    Case("resnet20", Goal("most", 0.35, "s"), None, True),
    Case("resnet110", Goal("most", 1.5, "s"), Goal("least", 2.5), True),
    Case("preresnet1001", Goal("most", 20, "s"), None, False),
)


def ours(make: Make, device: str, *, compiled: bool, recorded: bool) -> Step:
    """Return a step as trials take it."""
    spec = make(compile=compiled)
    group = Group([Member.of(spec, None, device)])
    group.model.train()
    take = stepping(group, device, recorded=recorded)
    return lambda x, y: take([x], [y], spec.recipe.lr)[0]


def plain(make: Make, device: str, *, mode: str) -> Step:
    """Return a plain step: the same network and optimiser, with `torch.compile` around the network."""
    spec = make()
    model, optimizer = beginning(spec, device)
    model.train()
    forward = torch.compile(model, mode=mode)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with autocast(spec.recipe, device):
            loss = functional.cross_entropy(forward(x.contiguous(memory_format=torch.channels_last)), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        # With torch's own graphs the next step overwrites the loss.
        return loss.detach().clone()

    return step


EAGER = "eager"
WAYS: dict[str, Start] = {
    EAGER: partial(ours, compiled=False, recorded=False),
    "a CUDA graph": partial(ours, compiled=False, recorded=True),
}
COMPILED: dict[str, Start] = {
    "compiled": partial(ours, compiled=True, recorded=False),
    "compiled and a CUDA graph": partial(ours, compiled=True, recorded=True),
}
BASES: dict[str, Start] = {
    "a plain compiled loop, reduce-overhead": partial(plain, mode="reduce-overhead"),
    "a plain compiled loop": partial(plain, mode="default"),
}
"""Baselines; the first one that runs is used."""


def measure(quick: bool) -> Iterator[Measured]:
    def failed(name: str, why: Exception) -> None:
        print(f"{name}: {type(why).__name__}: {why}", file=sys.stderr, flush=True)

    for case in CASES[: 1 if quick else None]:
        yield from measured(case, WHOLE, failed)


def measured(case: Case, size: Size, failed: Failed) -> Iterator[Measured]:
    """Yield the lines of a case. The slowest to start comes last, so that an interrupted run has the others."""
    images, net = size.images(), size.net(case.net)
    sides: dict[str, Callable[[], float]] = {}

    def begun(ways: Mapping[str, Start]) -> list[str]:
        for name, start in ways.items():
            try:
                sides[name] = _epochs(net, images, size, start)
            except Exception as error:
                failed(f"{case.net}, {name}", error)
        return [name for name in ways if name in sides]

    def in_rounds() -> dict[str, tuple[float, ...]]:
        return dict(zip(sides, zip(*in_turns(*sides.values(), rounds=size.rounds), strict=True), strict=True))

    def line(name: str) -> Measured:
        return median_of(f"{case.net}, an epoch, {name}", None, seconds[name], **floors(net))

    def middle(name: str) -> float:
        return sorted(seconds[name])[len(seconds[name]) // 2]

    yield from floors_of_card(case.net, net, size.device)
    begun(WAYS)
    seconds = in_rounds()
    yield from map(line, seconds)
    if case.compiled and (more := begun(COMPILED)):
        seconds = in_rounds()
        yield from map(line, more)
    best = min(seconds, key=middle)
    yield median_of(f"{case.net}, an epoch at the best", case.epoch, seconds[best], way=best, **floors(net))
    pairs = zip(seconds[EAGER], seconds[best], strict=True)
    yield ratio(f"{case.net}, the best over eager", case.faster, pairs, names=("eager_s", "best_s"), way=best)
    if base := next((name for name in BASES if case.compiled and begun({name: BASES[name]})), None):
        seconds = in_rounds()
        yield line(base)
        pairs = zip(seconds[base], seconds[best], strict=True)
        names = ("base_s", "best_s")
        yield ratio(f"{case.net}, the best over a compiled loop", None, pairs, names=names, way=best, base=base)
    sides.clear()
    if size.device == "cuda":
        torch.cuda.empty_cache()


def _epochs(net: Architecture, images: Images, size: Size, start: Start) -> Callable[[], float]:
    """Return a function that measures some steps and returns the seconds of an epoch."""

    def make(**settings: Any) -> TrialSpec:
        return size.specs(net, 1, images, lr=0.01, augmentation={"pad": 4, "flip": True}, **settings)[0]

    recipe = make().recipe
    take = start(make, size.device)
    split = images.train.to(size.device)
    orders = (_batches(split, images, recipe, epoch, size.device) for epoch in itertools.count())
    feed = itertools.chain.from_iterable(orders)

    def steps(number: int) -> float:
        began = now(size.device)
        losses = [take(x, y) for x, y in itertools.islice(feed, number)]
        finite = bool(torch.stack(losses).isfinite().all())
        taken = time.perf_counter() - began
        assert finite, "losses are not finite"
        return taken / number

    steps(BEFORE_RECORDING + 2)
    return lambda: -(-IMAGES // size.batch) * steps(size.steps)


def _batches(
    split: Split, images: Images, recipe: Recipe, epoch: int, device: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return batches(
        split,
        batch_size=recipe.batch_size,
        mean=images.mean,
        std=images.std,
        seed=0,
        epoch=epoch,
        augmentation=recipe.augmentation,
        device=device,
    )


def floors(net: Architecture) -> dict[str, Any]:
    """Return the least seconds per epoch to move the convolutions' outputs, by card and kind of fusing."""
    moved = 2 * IMAGES * _outputs(net)
    return {
        f"floor_{card}_{name}_s": passes * moved / pace
        for card, pace in BYTES_A_SECOND.items()
        for name, passes in PASSES.items()
    }


def floors_of_card(name: str, net: Architecture, device: str) -> Iterator[Measured]:
    """Yield one line per floor of the card in this machine, if its bandwidth is known."""
    card = torch.cuda.get_device_name().split() if device == "cuda" else ()
    for known in BYTES_A_SECOND:
        for way in PASSES if known in card else ():
            seconds = floors(net)[f"floor_{known}_{way}_s"]
            yield Measured(f"{name}, an epoch's floor on this card, {way}", None, seconds, seconds, seconds, "s")


def _outputs(net: Architecture) -> int:
    """Return the output elements of all convolutions for one image; without fvcore, which the machine may lack."""
    found: list[int] = []
    with torch.device("meta"), torch.no_grad():
        model = build(net).eval()
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(lambda _, __, output: found.append(output.numel()))
        model(torch.zeros(1, *net.input_shape))
    return sum(found)


def by_search(case: Case, size: Size, failed: Failed) -> Iterator[Measured]:
    """Measure the kinds of steps without a compiler, with cuDNN choosing the fastest kernel for each shape."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        for line in measured(replace(case, compiled=False, epoch=None, faster=None), size, failed):
            yield replace(line, case=f"cudnn.benchmark: {line.case}")
    finally:
        torch.backends.cudnn.benchmark = before


if __name__ == "__main__":
    main(measure, number=4, about=__doc__ or "", gpu=True)
