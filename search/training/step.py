"""One optimiser step of a group: kernel by kernel, or recorded once as a CUDA graph and launched as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

import torch
from torch import Tensor

from resnet_space.modules import Survival
from search.kernels.gpu import uses_bf16
from search.training.losses import classes_of
from search.training.members import Group
from search.training.out_of_memory import out_of_memory
from search.trials.events import Notice
from search.trials.recipe import Recipe

StepResult = tuple[Tensor, Tensor]
"""Each member's mean loss and number of wrong predictions, before the step. Both have shape (members,)."""

RECORDING: list[torch.cuda.CUDAGraph] = []
"""Graphs whose recording has started. One that failed stays: torch's allocator can still ask it for its streams."""

WARMUP_STEPS = 3
"""Steps kernel by kernel before a recording: they create the momenta and choose the algorithms of convolutions."""


def make_stepper(group: Group, device: str, *, recorded: bool = False) -> EagerStepper:
    """Return what takes a group's steps: recorded ones if asked for and possible. If not possible, report why."""
    why = why_not_recorded(group, device) if recorded else ""
    take = RecordedStepper(group, device) if recorded and not why else EagerStepper(group, device)
    if why:
        take.report(f"steps are not recorded as a CUDA graph: {why}")
    if device.startswith("cuda") and group.recipe.autocast == "bf16" and not uses_bf16(group.recipe, device):
        take.report(f"{torch.cuda.get_device_name(device)} has no bf16: it computes in float32")
    return take


def why_not_recorded(group: Group, device: str) -> str:
    """Return why a step cannot be recorded; "" if it can, because every step launches the same kernels."""
    if not device.startswith("cuda"):
        return "there is no GPU"
    modules = [*group.model.modules()]
    if any(isinstance(module, Survival) for module in modules):
        return "each batch skips other branches, chosen on the CPU"
    if any(getattr(module, "recompute", False) for module in modules):
        return "activations are recomputed (resources.recompute)"
    if not group.recipe.optimizer.fused:
        return f"the optimiser {group.recipe.optimizer.kind} can read numbers on the CPU"
    return ""


def step(group: Group, xs: Sequence[Tensor], ys: Sequence[Tensor], device: str) -> StepResult:
    """Take one optimiser step on one batch per member, at the optimiser's learning rate."""
    # As `optimizer.zero_grad`, which takes longer than some layers.
    for weight in group.weights:
        weight.grad = None
    parts = min(group.recipe.accumulation, len(ys[0]) // 2)
    result = add_gradients(group, xs, ys, device) if parts < 2 else accumulate(group, xs, ys, device, parts)
    for weight in group.weights:
        if weight.grad is None:
            # A branch that this batch skipped: its gradient is zero, and its momentum still applies.
            weight.grad = torch.zeros_like(weight)
    if group.clip:
        group.clip()
    group.optimizer.step()
    return result


def add_gradients(
    group: Group, xs: Sequence[Tensor], ys: Sequence[Tensor], device: str, share: float = 1.0
) -> StepResult:
    """Add the gradients of `share` times the loss of each member's images, and return losses and wrong predictions."""
    with autocast(group.recipe, device):
        logits = group.logits(xs)
        losses = [group.loss(out, y) for out, y in zip(logits, ys, strict=True)]
    # Each network gets the gradient of its own loss.
    torch.autograd.backward(losses if share == 1 else [loss * share for loss in losses])
    pairs = zip(logits, ys, strict=True)
    wrong = torch.stack([(out.detach().argmax(1) != classes_of(y)).sum() for out, y in pairs])
    return torch.stack(losses).detach(), wrong


def accumulate(group: Group, xs: Sequence[Tensor], ys: Sequence[Tensor], device: str, parts: int) -> StepResult:
    """Do the same for a batch in `parts` parts of at least two images, one after another. The loss is their mean."""
    images = len(ys[0])
    split = [[each.tensor_split(parts) for each in some] for some in (xs, ys)]
    losses = wrong = torch.zeros((), device=xs[0].device)
    for part_xs, part_ys in zip(*(zip(*some, strict=True) for some in split), strict=True):
        share = len(part_ys[0]) / images
        loss, missed = add_gradients(group, part_xs, part_ys, device, share)
        losses, wrong = losses + share * loss, wrong + missed
    return losses, wrong


class EagerStepper:
    """Takes steps kernel by kernel."""

    def __init__(self, group: Group, device: str) -> None:
        self.group, self.device = group, device
        self.notices: list[Notice] = []

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], lr: float) -> StepResult:
        """Take a step on images and labels of each member, at this learning rate."""
        for settings in self.group.optimizer.param_groups:
            settings["lr"] = lr
        return step(self.group, xs, ys, self.device)

    def report(self, text: str) -> None:
        """Report a line, once per run, because it holds for other trials as well."""
        self.notices.append(Notice(self.group.members[0].spec.key, text, once=True))

    def reported(self) -> Sequence[Notice]:
        """Return the notices since the last call."""
        found, self.notices = self.notices, []
        return found


class RecordedStepper(EagerStepper):
    """Takes steps as one CUDA graph after some warm-up steps: launching a small network's kernels takes longer than
    running them.

    A graph always reads and writes the same memory, so batches and the learning rate are copied there. A batch of
    another size than the first, such as an epoch's last, is computed kernel by kernel. So are all if recording fails.
    """

    def __init__(self, group: Group, device: str) -> None:
        super().__init__(group, device)
        self.lr = torch.zeros((), device=device)
        for settings in group.optimizer.param_groups:
            settings["lr"] = self.lr
        self.taken = 0
        self.shapes: list[torch.Size] = []
        """The shapes of a complete batch's images and labels."""
        self.xs: list[Tensor] = []
        self.ys: list[Tensor] = []
        self.launch: Callable[[], StepResult] | None = None
        self.failed = False

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], lr: float) -> StepResult:
        self.lr.fill_(lr)
        shapes = [each.shape for each in (*xs, *ys)]
        self.shapes = self.shapes or shapes
        whole = shapes == self.shapes
        if whole and self.launch is None and self.taken >= WARMUP_STEPS and not self.failed:
            self.launch = self.attempt(xs, ys)
        if not whole or self.launch is None:
            self.taken += 1
            return self.aside(xs, ys)
        for place, batch in zip([*self.xs, *self.ys], [*xs, *ys], strict=True):
            place.copy_(batch)
        losses, wrong = self.launch()
        # Copied: the next launch overwrites them.
        return losses.clone(), wrong.clone()

    def aside(self, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> StepResult:
        """Take a step on another stream, as torch requires for steps before a recording."""
        stream = side_stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            result = step(self.group, xs, ys, self.device)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        return result

    def attempt(self, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> Callable[[], StepResult] | None:
        """Record the step for batches like these, and return its launch; None if that fails, which is reported.

        A failed recording has computed nothing, so the step can be taken kernel by kernel.

        Raises:
            RuntimeError: there is not enough memory.
        """
        self.xs, self.ys = [x.clone() for x in xs], [y.clone() for y in ys]
        try:
            return self.record()
        except RuntimeError as error:
            _reset_generators()
            line = _failure_line(error)
        # After the except clause: the tensors that the error's frames held are free now.
        self.failed, self.xs, self.ys = True, [], []
        self.group.optimizer.zero_grad(set_to_none=True)
        self.report(f"recording a step as a CUDA graph failed ({line}); steps are computed kernel by kernel")
        return None

    def record(self) -> Callable[[], StepResult]:
        """Record the step on `self.xs` and `self.ys`, and return its launch. Recording computes nothing."""
        graph = torch.cuda.CUDAGraph()
        RECORDING.append(graph)
        # The graph must allocate the gradients itself, so those of the previous step are removed.
        self.group.optimizer.zero_grad(set_to_none=True)
        # The outer context restores the current stream if recording fails. In this mode, CUDA calls of other threads
        # during the recording are not errors.
        with (
            torch.cuda.stream(torch.cuda.current_stream(self.device)),
            torch.cuda.graph(graph, capture_error_mode="thread_local"),
        ):
            result = step(self.group, self.xs, self.ys, self.device)
        RECORDING.remove(graph)

        def launch() -> StepResult:
            graph.replay()
            return result

        return launch


def _failure_line(error: BaseException) -> str:
    """Return in one line why a recording failed: the first error of the chain, since ending the recording fails too.

    Raises:
        RuntimeError: an error of the chain is a lack of memory; it is raised again.
    """
    if out_of_memory(error):
        raise error
    if error.__context__:
        return _failure_line(error.__context__)
    return next(iter(str(error).splitlines()), type(error).__name__)


def _reset_generators() -> None:
    """Give each GPU's generator a copy of its state: after a failed recording the generator cannot draw any more."""
    for generator in torch.cuda.default_generators:
        with suppress(RuntimeError):
            generator.graphsafe_set_state(generator.clone_state())


@cache
def side_stream(device: str) -> torch.cuda.Stream:
    """Return the device's only stream for steps outside of graphs: freed memory stays with the stream that used it."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def autocast(recipe: Recipe, device: str) -> torch.autocast:
    """Return the autocast context of a recipe: bf16 if it asks for that and the GPU supports it, else float32."""
    on = uses_bf16(recipe, device)
    return torch.autocast("cuda" if on else "cpu", dtype=torch.bfloat16, enabled=on)
