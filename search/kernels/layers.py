"""The kernels that a network trains with, and the error of each, compared with the same layer in float64.

A kernel is a layer with the shapes of its inputs. A library chooses its code by layer, shape, memory layout, type,
processor and number of threads, and one of these choices can be wrong although all others are right.
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
from resnet_space.fused_forms import Dropouts
from resnet_space.modules import Nothing, Survival
from search.kernels.workarounds import channels_last, describe, set_route

IDLE_LAYERS = (nn.Identity, nn.Flatten, Nothing)
"""Layers that compute nothing."""

RANDOM_LAYERS = (nn.Dropout, Dropouts, Survival)
"""Layers with random output, which cannot be compared."""

MAX_MULTIPLY_ADDS = 50_000_000
"""Limit for a forward pass of a check. If a complete batch has more, a part of it is taken."""

MAX_ELEMENTS = 1_000_000
"""Limit for the elements of an input, with the same effect."""

ROUNDS = 3
"""How often a kernel runs: one that has a race or overwrites memory can be right at first."""

TOLERANCE = {"float32": 1e-4, "tf32": 1e-2, "bf16": 4e-2}
"""The largest error that counts as rounding, by precision. A sum of a million float32 products has an error of 1e-5."""


@dataclass(frozen=True)
class Conditions:
    """What a library chooses its code by, in addition to the layer and its shapes."""

    batch: int
    """The number of images."""
    device: str
    threads: int
    precision: str
    """`float32`, or `bf16` under autocast."""

    @property
    def tolerance(self) -> float:
        """The largest allowed error. On a GPU, convolutions of float32 use TF32."""
        precision = "tf32" if self.precision == "float32" and self.device != "cpu" else self.precision
        return TOLERANCE[precision]

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}, {self.threads} thread{'s' if self.threads > 1 else ''}"


@dataclass(frozen=True, eq=False)
class Kernel:
    """A layer, of one network or of several fused ones, and the shapes of its inputs without the batch dimension."""

    layer: nn.Module
    shapes: Shapes

    @cached_property
    def layer_text(self) -> str:
        return describe(self.layer)

    @cached_property
    def name(self) -> str:
        inputs = ", ".join("none" if shape is None else "x".join(map(str, shape)) for shape in self.shapes)
        return f"{self.layer_text} on {inputs}"

    def images(self, batch: int) -> int:
        """Return how many images of a batch a check takes, at least 2."""
        inputs = [math.prod(shape) for shape in self.shapes if shape]
        work = max(1, *inputs)
        for weight in self.layer.parameters():
            if weight.dim() == 4:
                # An upper bound for a convolution: its stride makes the work smaller.
                work = max(work, weight.numel() * math.prod((self.shapes[0] or (1, 1, 1))[1:]))
        return max(2, min(batch, MAX_MULTIPLY_ADDS // work, MAX_ELEMENTS // max(1, *inputs)))


@lru_cache(maxsize=4096)
def kernels(*nets: Architecture) -> tuple[Kernel, ...]:
    """Return the distinct kernels of a training step of one network, or of several fused into one.

    Layers that compute nothing or have random output are left out, and so are products with learned scalars.

    Raises:
        Unfusable: these networks cannot be fused.
    """
    found: dict[str, Kernel] = {}
    for layer, shapes in leaf_modules(*nets):
        if not isinstance(layer, IDLE_LAYERS + RANDOM_LAYERS) and () not in shapes:
            kernel = Kernel(layer, shapes)
            found.setdefault(kernel.name, kernel)
    return tuple(found.values())


def relative_error(kernel: Kernel, conditions: Conditions, route: str = "") -> tuple[float, str]:
    """Return the largest relative error of a kernel on this machine, and the name of the result that has it.

    The error of a result is max |a - b| / max |b|. b is from the layer in float64 on the CPU, channels first, where
    torch does not use oneDNN. a is from the layer as it trains, channels last, on a `route` of `workarounds.ROUTES` if
    one is given. The results are output, running statistics and gradients of weights and inputs in training, and the
    output in evaluation.
    """
    random = torch.Generator().manual_seed(0)
    number = kernel.images(conditions.batch)
    layer = _with_random_weights(kernel.layer, random)
    kind = torch.bfloat16 if conditions.precision == "bf16" else torch.float32
    xs = [None if shape is None else torch.randn(number, *shape, generator=random).to(kind) for shape in kernel.shapes]
    wide = [None if x is None else x.double() for x in xs]
    # In float64 torch uses its own kernels.
    right = dict(_results(copy.deepcopy(layer).double(), wide, Conditions(number, "cpu", 1, "float32")))
    worst, place = 0.0, "output"
    for _ in range(ROUNDS):
        ours = copy.deepcopy(layer).to(memory_format=torch.channels_last).to(conditions.device)
        if route:
            set_route(ours, route)
        last = [None if x is None else channels_last(x.to(conditions.device)) for x in xs]
        for name, found in _results(ours, last, conditions):
            off = _relative(found.double().cpu(), right[name])
            if not off <= worst:
                worst, place = off, name
    return (worst if worst == worst else math.inf), place


def _with_random_weights(layer: nn.Module, random: torch.Generator) -> nn.Module:
    """Return a copy on the CPU, with random weights of about the size of trained ones."""
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
    """Yield everything that a layer computes in a step, with its name."""
    random = torch.Generator().manual_seed(1)
    inputs = [None if x is None else x.detach().requires_grad_() for x in xs]
    bf16 = conditions.precision == "bf16"
    with torch.autocast(conditions.device.partition(":")[0], dtype=torch.bfloat16, enabled=bf16):
        y = layer.train()(*inputs)
    gradient = torch.randn(y.shape, generator=random).to(y.device, y.dtype)
    # The gradient of a sum: for anything else torch loads its compiler, which takes longer than most kernels.
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
    """Return max |a - b| / max |b|."""
    if not b.numel():
        return 0.0
    return float((a - b).abs().max() / b.abs().max().clamp(min=torch.finfo(torch.float32).tiny))
