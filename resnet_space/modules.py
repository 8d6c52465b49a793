"""The torch modules of a residual network; each forward is the papers' formula, with shapes (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Generator, Tensor, nn
from torch.nn import functional

from resnet_space.blueprint import Blueprint, Carry, UnitPlan
from resnet_space.branches import Convolution
from resnet_space.orders import ORDERS
from resnet_space.shortcuts import ShortcutKind


class ResidualNet(nn.Module):
    """Stem, residual units, head."""

    def __init__(self, plan: Blueprint) -> None:
        super().__init__()
        self.stem = stem(plan)
        self.units = nn.Sequential(*map(Unit, plan.units))
        self.head = head(plan)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.units(self.stem(x)))
        return logits


def stem(plan: Blueprint) -> nn.Sequential:
    """The first convolution, what the first unit's order puts behind it, and a 3x3 max pool if the stem has one."""
    shape = Convolution(plan.stem.kernel, plan.input_shape[0], plan.stem.channels, plan.stem.stride)
    pool = [nn.MaxPool2d(3, stride=2, padding=1)] if plan.stem.max_pool else []
    return nn.Sequential(conv(shape), *activations(plan.stem_order, shape.channels), *pool)


def head(plan: Blueprint) -> nn.Sequential:
    """What the last unit's order leaves undone, global average pooling, and a linear classifier."""
    return nn.Sequential(
        *activations(plan.tail, plan.channels),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(plan.channels, plan.classes),
    )


class Unit(nn.Module):
    """y = h(x) + F(x), x' = f(y). 1603.05027, equations 1 and 2."""

    def __init__(self, plan: UnitPlan) -> None:
        super().__init__()
        order = ORDERS[plan.order]
        before = nn.Sequential(*activations(order.first, plan.in_channels))
        self.shared = before if plan.shared_first else nn.Identity()
        self.F = nn.Sequential(*() if plan.shared_first else before, *branch(plan))
        self.h = Shortcut(plan)
        self.f = nn.Sequential(*activations(order.after, plan.channels))

    def forward(self, x: Tensor) -> Tensor:
        x = self.shared(x)
        y = self.h(x, self.F(x))
        x_next: Tensor = self.f(y)
        return x_next


class Shortcut(nn.Module):
    """Carries x to the sum, and sums by the description's own formula: `combine(x, F(x), g)`."""

    def __init__(self, plan: UnitPlan) -> None:
        super().__init__()
        self.sum = Sum(plan.shortcut)
        self.carry = CARRIES[plan.carry](plan)
        if plan.shortcut.drop:
            self.carry = nn.Sequential(self.carry, nn.Dropout(plan.shortcut.drop))
        self.gate = Gate(plan, plan.shortcut.gate) if plan.shortcut.gate is not None else None

    def forward(self, x: Tensor, f: Tensor) -> Tensor:
        y: Tensor = self.sum(self.carry(x), f, self.gate(x) if self.gate else None)
        return y


class Sum(nn.Module):
    """The shortcut's formula alone; a module, so that all work of a unit is done in modules without parts."""

    def __init__(self, shortcut: ShortcutKind) -> None:
        super().__init__()
        self.shortcut = shortcut

    def forward(self, x: Tensor | None, f: Tensor, g: Tensor | None) -> Tensor:
        y: Tensor = self.shortcut.combine(x, f, g)
        return y

    def extra_repr(self) -> str:
        return self.shortcut.to_json()


class Gate(nn.Module):
    """g = sigmoid(conv1x1(x) + b), with b at `bias` in the beginning. 1603.05027, section 3.1."""

    def __init__(self, plan: UnitPlan, bias: float) -> None:
        super().__init__()
        self.conv = conv(Convolution(1, plan.in_channels, plan.channels, plan.stride), bias=bias)
        self.squash = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        g: Tensor = self.squash(self.conv(x))
        return g


class Pad(nn.Module):
    """Option A: every stride-th pixel, and zero channels behind. 1512.03385, section 3.3."""

    def __init__(self, plan: UnitPlan) -> None:
        super().__init__()
        self.stride, self.more = plan.stride, plan.channels - plan.in_channels

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))

    def extra_repr(self) -> str:
        return f"{self.stride}, {self.more}"


class Nothing(nn.Module):
    """The shortcut of a plain net: there is none."""

    def forward(self, x: Tensor) -> None:
        return None


def project(plan: UnitPlan) -> nn.Sequential:
    """Options B and C: a 1x1 convolution, with what the order puts behind it."""
    shape = Convolution(1, plan.in_channels, plan.channels, plan.stride)
    return nn.Sequential(conv(shape), *activations(ORDERS[plan.order].projection, plan.channels))


CARRIES: dict[Carry, Callable[[UnitPlan], nn.Module]] = {
    "keep": lambda plan: nn.Identity(),
    "pad": Pad,
    "project": project,
    "nothing": lambda plan: Nothing(),
}


def branch(plan: UnitPlan) -> Iterator[nn.Module]:
    """conv (between conv)* last; what stands before the first convolution is the unit's affair."""
    order = ORDERS[plan.order]
    for shape, following in zip(plan.chain, [*plan.chain[1:], None], strict=True):
        yield conv(shape)
        yield from activations(order.between if following else order.last, shape.channels)


def activations(chain: str, channels: int) -> Iterator[nn.Module]:
    """The modules of a chain such as "bn relu"."""
    for name in chain.split():
        yield nn.BatchNorm2d(channels) if name == "bn" else nn.ReLU()


def conv(shape: Convolution, *, bias: float | None = None) -> nn.Conv2d:
    """Drawn as `draw` says; without a bias, since BN follows, unless one is given."""
    module = nn.Conv2d(
        shape.in_channels,
        shape.channels,
        shape.kernel,
        stride=shape.stride,
        padding=shape.kernel // 2,
        groups=shape.groups,
        bias=bias is not None,
    )
    draw(module)
    if module.bias is not None and bias is not None:
        nn.init.constant_(module.bias, bias)
    return module


def draw(layer: nn.Conv2d | nn.Linear, generator: Generator | None = None) -> None:
    """Weights of a layer, from torch's global generator or a given one.

    A convolution's are normal with variance 2 / fan-out (1502.01852), its bias is not drawn; a linear layer's weights
    and bias are uniform within 1 / sqrt(fan-in), as torch has them.
    """
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        return
    for parameter in (layer.weight, layer.bias):
        bound = layer.in_features**-0.5
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
