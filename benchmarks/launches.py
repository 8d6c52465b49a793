"""How often does a training step call torch? Counted on a CPU, without timing; prints a Markdown table.

    python benchmarks/launches.py

Counted are torch's operations that compute or copy, without views and allocations. On a GPU each is one launch or a
few: a convolution's backward pass is one call and two kernels, and so is a copy of a hundred tensors at once. bf16 is
that of the CPU, whose autocast casts the same tensors as a GPU's. Copies to a device are those to torch's `meta`
device, which has no memory. With the packages of another commit on the import path it counts those.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch
from sizes import Size
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from search.data import Split, batches
from search.training import members
from search.training import step as stepping
from search.training.members import Group, Member
from search.trials.recipe import Augmentation

NETS = ("resnet20", "resnet110")
SEEDS = (1, 8)
SIZE = Size("cpu", batch=16, steps=32, rounds=1, seeds=8)
ARCHITECTURES = 10

NO_LAUNCH = ("empty", "new_empty", "detach", "_unsafe_view", "lift", "_record_function")
"""Prefixes of operations that compute nothing, in addition to views."""


class Calls(TorchDispatchMode):
    """Counts operations, and separately the copies to the `meta` device."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[str] = Counter()
        self.to_device = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not func.is_view and not name.startswith(NO_LAUNCH):
            self.of[name] += 1
            tensors = [each for each in (*args, found) if isinstance(each, Tensor)]
            self.to_device += {"cpu", "meta"} <= {tensor.device.type for tensor in tensors}
        return found


def grouped(net: str, seeds: int, **settings: Any) -> Group:
    images = SIZE.images(1)
    recipe = {"augmentation": {"pad": 4, "flip": True}, **settings}
    made = Group([Member.of(spec, None, "cpu") for spec in SIZE.specs(SIZE.net(net), seeds, images, **recipe)])
    made.model.train()
    return made


def steps(group: Group, images: Sequence[int]) -> None:
    """Take one step per entry of `images`, on that number of images."""
    for number in images:
        xs = [torch.randn(number, *group.members[0].spec.architecture.input_shape) for _ in group.members]
        stepping.step(group, xs, [torch.zeros(number, dtype=torch.long) for _ in xs], "cpu")


def of_a_step(net: str, seeds: int, autocast: str) -> int:
    """Return the calls of forward pass, backward pass and optimiser."""
    stepping.autocast = lambda *_: torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast == "bf16")
    group = grouped(net, seeds, autocast=autocast)
    steps(group, [2, 2])
    xs = [torch.randn(2, 3, 32, 32) for _ in range(seeds)]
    ys = [torch.zeros(2, dtype=torch.long) for _ in range(seeds)]
    with Calls() as calls:
        stepping.step(group, xs, ys, "cpu")
    return calls.of.total()


def of_hand_back(net: str, seeds: int) -> int:
    """Return the calls that copy weights, statistics and momenta from a fused network to its members."""
    group = grouped(net, seeds)
    steps(group, [2])
    group.ahead = True
    with Calls() as calls:
        group.hand_back()
    return calls.of.total()


def to_device(seeds: int) -> float:
    """Return the copies to the device per step, for cropped and mirrored batches of images that are already there."""
    images = SIZE.images()
    split = Split(images.train.x.to("meta"), images.train.y.to("meta"))
    settings: dict[str, Any] = {"batch_size": SIZE.batch, "mean": images.mean, "std": images.std, "device": "meta"}
    orders = [
        batches(split, seed=seed, augmentation=Augmentation(pad=4, flip=True), **settings) for seed in range(seeds)
    ]
    with Calls() as calls:
        for _ in zip(*orders, strict=True):
            pass
    return calls.to_device / SIZE.steps


def compiled() -> tuple[int, int, int]:
    """Count compiled graphs of several networks in one process, each with four full batches and a smaller one.

    Return the number of graphs, the full-batch steps that run code compiled for their size only, and all full-batch
    steps.
    """
    graphs, own = 0, 0

    def backend(graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., object]:
        nonlocal graphs
        graphs += 1
        fixed = all(isinstance(value, Tensor) for value in inputs)

        def call(*values: Any) -> object:
            nonlocal own
            own += fixed and any(value.shape == (4, 3, 32, 32) for value in values)
            return graph(*values)

        return call

    members.torch.compile = partial(torch.compile, backend=backend)
    stepping.autocast = lambda *_: torch.autocast("cpu", enabled=False)
    images = SIZE.images(1)
    for number in range(ARCHITECTURES):
        net = SIZE.net("resnet20", width=0.25 * (1 + number), **{"stages.*.units": 1})
        [spec] = SIZE.specs(net, 1, images, compile=True)
        group = Group([Member.of(spec, None, "cpu")])
        group.model.train()
        steps(group, [4, 4, 3, 4, 4])
    return graphs, own, 4 * ARCHITECTURES


def rows() -> Iterator[tuple[str, str]]:
    for net in NETS:
        for seeds in SEEDS:
            name = f"{net}, {'alone' if seeds == 1 else f'{seeds} fused'}"
            for autocast, kind in (("none", "float32"), ("bf16", "bf16")):
                yield f"{name}: calls per step, {kind}", f"{of_a_step(net, seeds, autocast):,}"
            if seeds > 1:
                yield f"{name}: calls to copy weights back to members", f"{of_hand_back(net, seeds):,}"
    for seeds in SEEDS:
        yield f"{seeds} at a time: copies of batches to the device per step", f"{to_device(seeds):.3g}"
    graphs, own, of = compiled()
    yield f"{ARCHITECTURES} architectures: graphs compiled", str(graphs)
    yield f"{ARCHITECTURES} architectures: full-batch steps that run code compiled for their size", f"{own} of {of}"


def main() -> None:
    print("| counted | |\n|---|---:|")
    for name, value in rows():
        print(f"| {name} | {value} |", flush=True)
    print(f"\ntorch {torch.__version__}, {members.__file__}")


if __name__ == "__main__":
    main()
