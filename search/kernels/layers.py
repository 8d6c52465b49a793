"""The kernels that a network trains with: which they are, and how far one is from the same layer in float64.

A kernel is a layer with the shapes of its inputs. A library chooses its code by layer, shape, memory layout, type,
processor and number of threads, and may be wrong for one choice and right for all others.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor, nn

from resnet_space import Architecture
from resnet_space.counter import Shapes, leaf_modules
from resnet_space.fused import Dropouts, form
from resnet_space.modules import Nothing, Survival
from search.kernels.workarounds import channels_last, take, written

IDLE = (nn.Identity, nn.Flatten, Nothing)
"""Layers that compute nothing."""

RANDOM = (nn.Dropout, Dropouts, Survival)
"""Layers whose output is drawn, so that there is nothing to compare it with."""

WORK = 50_000_000
"""Multiply-adds of a forward pass at the most: a check takes a part of a batch where a whole one has more."""

ELEMENTS = 1_000_000
"""Elements of an input at the most, likewise."""

ROUNDS = 3
"""Times that a kernel runs: one that races or overwrites memory may be right at first."""

TOLERANCE = {"float32": 1e-4, "tf32": 1e-2, "bf16": 4e-2}
"""The largest error that is taken for rounding, by precision. Sums of a million float32 products are off by 1e-5."""


@dataclass(frozen=True)
class Conditions:
    """What a library chooses its code by, beside the layer and its shapes."""

    batch: int
    """Images."""
    device: str
    threads: int
    precision: str
    """`float32`, or `bf16` under autocast."""

    @property
    def tolerance(self) -> float:
        """The error that is allowed. On a GPU convolutions of float32 take TF32."""
        precision = "tf32" if self.precision == "float32" and self.device != "cpu" else self.precision
        return TOLERANCE[precision]

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}, {self.threads} thread{'s' if self.threads > 1 else ''}"


@dataclass(frozen=True, eq=False)
class Kernel:
    """A layer, single or of several networks fused, and the shapes of its inputs without the batch."""

    layer: nn.Module
    shapes: Shapes

    @cached_property
    def written(self) -> str:
        return written(self.layer)

    @cached_property
    def name(self) -> str:
        inputs = ", ".join("none" if shape is None else "x".join(map(str, shape)) for shape in self.shapes)
        return f"{self.written} on {inputs}"

    def images(self, batch: int) -> int:
        """Images that a check takes of a batch, at least 2."""
        inputs = [math.prod(shape) for shape in self.shapes if shape]
        work = max(1, *inputs)
        for weight in self.layer.parameters():
            if weight.dim() == 4:
                # Of a convolution, with its stride and without its groups at the most.
                work = max(work, weight.numel() * math.prod((self.shapes[0] or (1, 1, 1))[1:]))
        return max(2, min(batch, WORK // work, ELEMENTS // max(1, *inputs)))


@lru_cache(maxsize=4096)
def kernels(net: Architecture, networks: int = 1) -> tuple[Kernel, ...]:
    """The distinct kernels of a training step of one network, or of several fused into one.

    Layers that compute nothing, or whose output is drawn, are left out; so are learned scalars' products.

    Raises:
        Unfusable: these networks have no fused form.
    """
    found: dict[str, Kernel] = {}
    for layer, shapes in leaf_modules(net):
        if isinstance(layer, IDLE + RANDOM) or () in shapes:
            continue
        kernel = Kernel(layer, shapes)
        if networks > 1:
            wide = tuple(None if shape is None else (networks * shape[0], *shape[1:]) for shape in shapes)
            kernel = Kernel(form(layer, networks), wide)
        found.setdefault(kernel.name, kernel)
    return tuple(found.values())


def error(kernel: Kernel, conditions: Conditions, route: str = "") -> tuple[float, str]:
    """The largest relative error of a kernel here, and of what: max |a - b| / max |b| over each of its results.

    b is the layer in float64 on the CPU, channels first, where torch does not use oneDNN; a is the layer as it trains,
    channels last, by a `route` of `detours.ROUTES` if one is named. Results are, in training, output, running
    statistics and gradients of weights and inputs; in evaluation, the output.
    """
    random = torch.Generator().manual_seed(0)
    number = kernel.images(conditions.batch)
    layer = _drawn(kernel.layer, random)
    kind = torch.bfloat16 if conditions.precision == "bf16" else torch.float32
    xs = [None if shape is None else torch.randn(number, *shape, generator=random).to(kind) for shape in kernel.shapes]
    wide = [None if x is None else x.double() for x in xs]
    # In float64 torch uses kernels of its own.
    right = dict(_results(copy.deepcopy(layer).double(), wide, Conditions(number, "cpu", 1, "float32")))
    worst, place = 0.0, "output"
    for _ in range(ROUNDS):
        ours = copy.deepcopy(layer).to(memory_format=torch.channels_last).to(conditions.device)
        if route:
            take(ours, route)
        last = [None if x is None else channels_last(x.to(conditions.device)) for x in xs]
        for name, found in _results(ours, last, conditions):
            off = _relative(found.double().cpu(), right[name])
            if not off <= worst:
                worst, place = off, name
    return (worst if worst == worst else math.inf), place


def _drawn(layer: nn.Module, random: torch.Generator) -> nn.Module:
    """A copy on the CPU, with weights of about the size that trained ones have."""
    made = copy.deepcopy(layer).to_empty(device="cpu")
    for tensor in [*made.parameters(), *made.buffers()]:
        if not tensor.is_floating_point():
            tensor.zero_()
        elif tensor.dim() > 1:
            tensor.data.normal_(0, tensor[0].numel() ** -0.5, generator=random)
        else:
            tensor.data.uniform_(0.5, 1.5, generator=random)
    return made


def _results(layer: nn.Module, xs: list[Tensor | None], conditions: Conditions) -> Iterator[tuple[str, Tensor]]:
    """All that a layer computes in a step, by name."""
    random = torch.Generator().manual_seed(1)
    inputs = [None if x is None else x.detach().requires_grad_() for x in xs]
    bf16 = conditions.precision == "bf16"
    with torch.autocast(conditions.device.partition(":")[0], dtype=torch.bfloat16, enabled=bf16):
        y = layer.train()(*inputs)
    gradient = torch.randn(y.shape, generator=random).to(y.device, y.dtype)
    # Of a sum: for the gradient of anything else torch loads its compiler, which takes longer than most kernels.
    (y * (channels_last(gradient) if y.dtype != torch.float64 else gradient)).sum().backward()
    yield "output", y.detach()
    for name, weight in layer.named_parameters():
        if weight.grad is not None:
            yield f"gradient of {name}", weight.grad
    for number, x in enumerate(inputs, 1):
        if x is not None and x.grad is not None:
            yield "gradient of input" if len(inputs) == 1 else f"gradient of input {number}", x.grad
    for name, buffer in layer.named_buffers():
        yield name, buffer.detach().clone()
    with torch.no_grad(), torch.autocast(conditions.device.partition(":")[0], dtype=torch.bfloat16, enabled=bf16):
        yield "output in evaluation", layer.eval()(*(None if x is None else x.detach() for x in inputs))


def _relative(a: Tensor, b: Tensor) -> float:
    """max |a - b| / max |b|."""
    if not b.numel():
        return 0.0
    return float((a - b).abs().max() / b.abs().max().clamp(min=torch.finfo(torch.float32).tiny))
