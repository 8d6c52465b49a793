"""How fast are separate networks as branches of one CUDA graph, against grouped convolutions and one after another?

The graph forks into one stream per network and joins them again. Every network has the same dense kernels as alone,
so its numbers should have the same bits as alone. This is measured here and used nowhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from measuring import Measured, in_turns, median_of, ratio
from sizes import Size
from torch import Tensor

from gpu_stages.record import Failure
from search.data import Images, batches
from search.training.forecast import now
from search.training.members import Group, Member
from search.training.step import BEFORE_RECORDING, step, stepping
from search.trials.trial import TrialSpec

NETS = ("resnet20", "resnet110")
STEPS = 12
"""Steps whose bits are compared: the first kernel by kernel, most of them recorded."""


class Branches:
    """Takes one step of each network; after the first few steps, all of them in one CUDA graph.

    On a CPU the networks step one after another, which tests all but CUDA's part.
    """

    def __init__(self, groups: Sequence[Group], device: str) -> None:
        self.groups, self.device = list(groups), device
        self.lr = torch.zeros((), device=device)
        for group in self.groups:
            group.model.train()
            for settings in group.optimizer.param_groups:
                settings["lr"] = self.lr
        on_gpu = device == "cuda"
        self.streams = [torch.cuda.Stream(device) for _ in self.groups] if on_gpu else []  # type: ignore[no-untyped-call]
        self.taken = 0
        self.xs: list[Tensor] = []
        self.ys: list[Tensor] = []
        self.launch: Callable[[], list[Tensor]] | None = None

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], lr: float) -> Tensor:
        """Take a step and return the networks' losses before it."""
        self.lr.fill_(lr)
        if not self.xs:
            self.xs, self.ys = [x.clone() for x in xs], [y.clone() for y in ys]
        for place, batch in zip([*self.xs, *self.ys], [*xs, *ys], strict=True):
            place.copy_(batch)
        if self.launch is None and self.taken >= BEFORE_RECORDING and self.streams:
            self.launch = self.record()
        self.taken += 1
        return torch.cat(self.launch() if self.launch else self.forked())

    def forked(self) -> list[Tensor]:
        """Take every network's step on its own stream, after all earlier launches and before all later ones."""
        if not self.streams:
            return [self.step(number) for number in range(len(self.groups))]
        here = torch.cuda.current_stream()
        losses = []
        for number, stream in enumerate(self.streams):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                losses.append(self.step(number))
        for stream in self.streams:
            here.wait_stream(stream)
        return losses

    def step(self, number: int) -> Tensor:
        return step(self.groups[number], [self.xs[number]], [self.ys[number]], self.device)[0]

    def record(self) -> Callable[[], list[Tensor]]:
        for group in self.groups:
            # The graph allocates gradients in its own memory.
            group.optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            losses = self.forked()

        def launch() -> list[Tensor]:
            graph.replay()
            return losses

        return launch


def measure(size: Size) -> Iterator[Measured | Failure]:
    images = size.images(STEPS)
    for net in NETS:
        specs = size.specs(size.net(net), size.seeds, images)
        for lines in (same_bits, paces):
            try:
                yield from lines(net, specs, images, size)
            except Exception as error:
                yield Failure.of(f"{net}, {lines.__name__.replace('_', ' ')}", error)
            if size.device == "cuda":
                torch.cuda.empty_cache()


def same_bits(net: str, specs: list[TrialSpec], images: Images, size: Size) -> Iterator[Measured]:
    """Yield the share of networks whose losses and weights after some steps have the bits of one trained alone."""
    branches = Branches([_group([spec], size.device) for spec in specs], size.device)
    losses = torch.stack([branches(*batch, 0.05) for batch in _together(specs, images, size)])
    same, again = [], []
    for number, spec in enumerate(specs):
        alone, weights = _alone(spec, images, size)
        own = [weight.detach() for weight in branches.groups[number].weights]
        same.append(torch.equal(losses[:, number], alone) and all(map(torch.equal, own, weights)))
        if number == 0:
            # Two trainings of one network must agree; otherwise no comparison can.
            again_losses, again_weights = _alone(spec, images, size)
            again.append(torch.equal(again_losses, alone) and all(map(torch.equal, again_weights, weights)))
    value = sum(same) / len(same)
    details = {"networks": same, "alone_twice_is_the_same": again[0], "steps": STEPS}
    yield Measured(f"{net}, networks with the bits of one trained alone", None, value, value, value, "x", details)


def paces(net: str, specs: list[TrialSpec], images: Images, size: Size) -> Iterator[Measured]:
    """Yield the seconds of a step of all networks: as branches, as one graph after another, and fused in one graph."""
    xs, ys = next(iter(_together(specs, images, size)))
    branches = Branches([_group([spec], size.device) for spec in specs], size.device)
    alone = [stepping(_group([spec], size.device), size.device, recorded=True) for spec in specs]
    fused = stepping(_group(specs, size.device), size.device, recorded=True)
    sides: dict[str, Callable[[], object]] = {
        "branches": lambda: branches(xs, ys, 0.05),
        "one after another": lambda: [take([x], [y], 0.05) for take, x, y in zip(alone, xs, ys, strict=True)],
        "fused": lambda: fused(xs, ys, 0.05),
    }
    memory = {}
    for name, side in sides.items():
        before = torch.cuda.memory_reserved() if size.device == "cuda" else 0
        for _ in range(BEFORE_RECORDING + 2):
            side()
        memory[name] = (torch.cuda.memory_reserved() - before) / 2**20 if size.device == "cuda" else 0.0

    def timed(side: Callable[[], object]) -> Callable[[], float]:
        def seconds() -> float:
            began = now(size.device)
            for _ in range(size.steps):
                side()
            return (now(size.device) - began) / size.steps

        return seconds

    rounds = in_turns(*map(timed, sides.values()), rounds=size.rounds)
    for name, taken in zip(sides, zip(*rounds, strict=True), strict=True):
        facts: dict[str, Any] = {"seeds": len(specs), "more_memory_reserved_mib": memory[name]}
        yield median_of(f"{net}, a step of all, {name}", None, taken, **facts)
    for place, other in ((1, "one after another"), (2, "fused")):
        pairs = [(each[place], each[0]) for each in rounds]
        names = (f"{other.replace(' ', '_')}_s", "branches_s")
        yield ratio(f"{net}, branches over {other}", None, pairs, names=names, seeds=len(specs))


def _group(specs: Sequence[TrialSpec], device: str) -> Group:
    group = Group([Member.of(spec, None, device) for spec in specs])
    group.model.train()
    return group


def _alone(spec: TrialSpec, images: Images, size: Size) -> tuple[Tensor, list[Tensor]]:
    """Return losses and weights of a network that is recorded alone."""
    take = stepping(_group([spec], size.device), size.device, recorded=True)
    losses = [take(*batch, 0.05)[0] for batch in _together([spec], images, size)]
    return torch.cat(losses), [weight.detach() for weight in take.group.weights]


def _together(specs: Sequence[TrialSpec], images: Images, size: Size) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Yield for each step the batches of all networks."""
    split = images.train.to(size.device)
    moments: dict[str, Any] = {"mean": images.mean, "std": images.std}
    orders = [batches(split, batch_size=size.batch, seed=spec.seed, device=size.device, **moments) for spec in specs]
    for own in itertools.islice(zip(*orders, strict=True), STEPS):
        xs, ys = zip(*own, strict=True)
        yield list(xs), list(ys)
