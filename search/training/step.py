"""One optimiser step of a group: kernel by kernel, or recorded once as a CUDA graph and launched as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from resnet_space.modules import Survival
from search.kernels.gpu import bf16
from search.training.members import Group
from search.training.out_of_memory import out_of_memory
from search.trials.events import Notice
from search.trials.recipe import Recipe

Told = tuple[Tensor, Tensor]
"""Each member's mean loss and number of wrong answers, before the step."""

UNDERWAY: list[torch.cuda.CUDAGraph] = []
"""Graphs whose recording began. One that failed stays: torch's allocator may still ask it which streams are its own."""

BEFORE_RECORDING = 3
"""Steps kernel by kernel: momenta come into being, and convolutions choose their algorithms."""


def stepping(group: Group, device: str, *, recorded: bool = False) -> Eager:
    """How a group takes its steps; recorded where that is asked for and can be. Why it cannot is reported."""
    why = obstacle(group, device) if recorded else ""
    take = Recorded(group, device) if recorded and not why else Eager(group, device)
    if why:
        take.report(f"steps are not recorded as a CUDA graph: {why}")
    if device.startswith("cuda") and group.recipe.autocast == "bf16" and not bf16(group.recipe, device):
        take.report(f"{torch.cuda.get_device_name(device)} has no bf16: it computes in float32")
    return take


def obstacle(group: Group, device: str) -> str:
    """Why a step cannot be recorded; empty if it can: then every step launches the same kernels."""
    if not device.startswith("cuda"):
        return "there is no GPU"
    modules = [*group.model.modules()]
    if any(isinstance(module, Survival) for module in modules):
        return "each batch skips other branches, drawn on the CPU"
    if any(getattr(module, "recompute", False) for module in modules):
        return "activations are computed again (resources.recompute)"
    return ""


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
        self.notices: list[Notice] = []

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], lr: float) -> Told:
        """Take a step on images and labels of each member, at this learning rate."""
        for settings in self.group.optimizer.param_groups:
            settings["lr"] = lr
        return step(self.group, xs, ys, self.device)

    def report(self, text: str) -> None:
        """Have a line reported: once in a run, since it holds for other trials as well."""
        self.notices.append(Notice(self.group.members[0].spec.key, text, once=True))

    def reported(self) -> Sequence[Notice]:
        """What is to be reported since this was asked last."""
        found, self.notices = self.notices, []
        return found


class Recorded(Eager):
    """As one CUDA graph, once some steps were taken: a small network's kernels are done sooner than they are launched.

    A graph reads and writes where it did when it was recorded, so batches and the rate are copied to places of their
    own. A batch of another size than the first, as an epoch's last, goes kernel by kernel; so do all where recording
    fails.
    """

    def __init__(self, group: Group, device: str) -> None:
        super().__init__(group, device)
        self.lr = torch.zeros((), device=device)
        for settings in group.optimizer.param_groups:
            settings["lr"] = self.lr
        self.taken = 0
        self.shapes: list[torch.Size] = []
        """Of a whole batch."""
        self.xs: list[Tensor] = []
        self.ys: list[Tensor] = []
        self.launch: Callable[[], Told] | None = None
        self.failed = False

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], lr: float) -> Told:
        self.lr.fill_(lr)
        shapes = [x.shape for x in xs]
        self.shapes = self.shapes or shapes
        whole = shapes == self.shapes
        if whole and self.launch is None and self.taken >= BEFORE_RECORDING and not self.failed:
            self.launch = self.attempt(xs, ys)
        if not whole or self.launch is None:
            self.taken += 1
            return self.aside(xs, ys)
        for place, batch in zip([*self.xs, *self.ys], [*xs, *ys], strict=True):
            place.copy_(batch)
        losses, wrong = self.launch()
        # The next launch writes there again.
        return losses.clone(), wrong.clone()

    def aside(self, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> Told:
        """A step on another stream, as recording asks for of those before it."""
        stream = side_stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            told = step(self.group, xs, ys, self.device)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        return told

    def attempt(self, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> Callable[[], Told] | None:
        """The step recorded, for batches like these; None if that fails, which is reported.

        Nothing was computed then, so the step can be taken kernel by kernel. A lack of memory is raised.
        """
        self.xs, self.ys = [x.clone() for x in xs], [y.clone() for y in ys]
        try:
            return self.record()
        except RuntimeError as error:
            _recover()
            line = _failure(error)
        # After the except: with the error go the tensors that its frames held.
        self.failed, self.xs, self.ys = True, [], []
        self.group.optimizer.zero_grad(set_to_none=True)
        self.report(f"recording a step as a CUDA graph failed ({line}); it goes on kernel by kernel")
        return None

    def record(self) -> Callable[[], Told]:
        """The step on what is in the places for batches; recording it computes nothing."""
        graph = torch.cuda.CUDAGraph()
        UNDERWAY.append(graph)
        # Gradients belong to the graph's memory: made by it, not by the step before.
        self.group.optimizer.zero_grad(set_to_none=True)
        # The outer context: where recording fails, the current stream is again what it was. The mode: what another
        # thread of this process does meanwhile is no error.
        with (
            torch.cuda.stream(torch.cuda.current_stream(self.device)),
            torch.cuda.graph(graph, capture_error_mode="thread_local"),
        ):
            told = step(self.group, self.xs, self.ys, self.device)
        UNDERWAY.remove(graph)

        def launch() -> Told:
            graph.replay()
            return told

        return launch


def _failure(error: BaseException) -> str:
    """Why a recording failed, in a line. Its end fails as well then, and the error that came first is the context.

    Raises:
        the first error that is a lack of memory.
    """
    if out_of_memory(error):
        raise error
    if error.__context__:
        return _failure(error.__context__)
    return next(iter(str(error).splitlines()), type(error).__name__)


def _recover() -> None:
    """Give each GPU's generator a state like its own: one that a recording was using when it failed draws no more."""
    for generator in torch.cuda.default_generators:
        with suppress(RuntimeError):
            generator.graphsafe_set_state(generator.clone_state())


@cache
def side_stream(device: str) -> torch.cuda.Stream:
    """The stream of steps outside of graphs, one a device: memory that is freed stays with the stream that had it."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def autocast(recipe: Recipe, device: str) -> torch.autocast:
    """bf16 where the recipe asks for it and the device is a GPU that has it; else float32."""
    on = bf16(recipe, device)
    return torch.autocast("cuda" if on else "cpu", dtype=torch.bfloat16, enabled=on)
