"""One optimiser step of a group: kernel by kernel, or recorded once as a CUDA graph and launched as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from resnet_space.modules import Survival
from search.members import Group
from search.recipe import Recipe

Told = tuple[Tensor, Tensor]
"""Each member's mean loss and number of wrong answers, before the step."""

BEFORE_RECORDING = 3
"""Steps kernel by kernel: momenta come into being, and convolutions choose their algorithms."""


def stepping(group: Group, device: str, *, recorded: bool = False) -> Eager:
    """How a group takes its steps; recorded where that is asked for and can be."""
    return Recorded(group, device) if recorded and recordable(group, device) else Eager(group, device)


def recordable(group: Group, device: str) -> bool:
    """Whether every step launches the same kernels: none does that draws on the CPU which branches a batch skips."""
    return device.startswith("cuda") and not any(
        isinstance(module, Survival) or getattr(module, "recompute", False) for module in group.model.modules()
    )


def step(group: Group, xs: Sequence[Tensor], ys: Sequence[Tensor], device: str) -> Told:
    """One optimiser step on a batch for each member, at the optimiser's own rate."""
    with autocast(group.recipe, device):
        logits = group.logits(xs)
        losses = torch.stack([functional.cross_entropy(out, y) for out, y in zip(logits, ys, strict=True)])
    group.optimizer.zero_grad(set_to_none=True)
    # The gradient of a sum: to each network, that of its own loss.
    losses.sum().backward()  # type: ignore[no-untyped-call]
    for weight in group.weights:
        if weight.grad is None:
            # Of a branch that this batch skipped: its gradient is zero, and its momentum goes on.
            weight.grad = torch.zeros_like(weight)
    group.optimizer.step()
    wrong = torch.stack([(out.detach().argmax(1) != y).sum() for out, y in zip(logits, ys, strict=True)])
    return losses.detach(), wrong


class Eager:
    """Kernel by kernel."""

    def __init__(self, group: Group, device: str) -> None:
        self.group, self.device = group, device

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], lr: float) -> Told:
        """Take a step on images and labels of each member, at this learning rate."""
        for settings in self.group.optimizer.param_groups:
            settings["lr"] = lr
        return step(self.group, xs, ys, self.device)


class Recorded(Eager):
    """As one CUDA graph, once some steps were taken: a small network's kernels are done sooner than they are launched.

    A graph reads and writes where it did when it was recorded, so batches and the rate are copied to places of their
    own. A batch of another size, an epoch's last, goes kernel by kernel.
    """

    def __init__(self, group: Group, device: str) -> None:
        super().__init__(group, device)
        self.lr = torch.zeros((), device=device)
        for settings in group.optimizer.param_groups:
            settings["lr"] = self.lr
        self.taken = 0
        self.xs: list[Tensor] = []
        self.ys: list[Tensor] = []
        self.launch: Callable[[], Told] | None = None

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], lr: float) -> Told:
        self.lr.fill_(lr)
        if self.launch is None and self.taken >= BEFORE_RECORDING:
            self.xs, self.ys = [x.clone() for x in xs], [y.clone() for y in ys]
            self.launch = self.record()
        if self.launch is None or [x.shape for x in xs] != [x.shape for x in self.xs]:
            self.taken += 1
            return self.aside(xs, ys)
        for place, batch in zip([*self.xs, *self.ys], [*xs, *ys], strict=True):
            place.copy_(batch)
        losses, wrong = self.launch()
        # The next launch writes there again.
        return losses.clone(), wrong.clone()

    def aside(self, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> Told:
        """A step on a stream of its own, as recording asks for of those before it."""
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            told = step(self.group, xs, ys, self.device)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        return told

    def record(self) -> Callable[[], Told]:
        """The step on what lies in the places for batches; recording it computes nothing."""
        graph = torch.cuda.CUDAGraph()
        # Gradients belong to the graph's memory: made by it, not by the step before.
        self.group.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            told = step(self.group, self.xs, self.ys, self.device)

        def launch() -> Told:
            graph.replay()
            return told

        return launch


def autocast(recipe: Recipe, device: str) -> torch.autocast:
    """bf16 where the recipe asks for it and the device is CUDA; else float32."""
    on = recipe.autocast == "bf16" and device.startswith("cuda")
    return torch.autocast("cuda" if on else "cpu", dtype=torch.bfloat16, enabled=on)
