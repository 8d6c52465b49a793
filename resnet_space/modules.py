"""The torch modules of a residual network; each forward is the papers' formula, with shapes (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space.blueprint import Blueprint, Carry, UnitPlan
from resnet_space.chains import activations, build_chain, conv, last_modules, strided_pixels
from resnet_space.features import NamedParts
from resnet_space.layers import Convolution, depth
from resnet_space.orders import applied
from resnet_space.recomputing import Features, joined, recomputed
from resnet_space.shortcuts import ShortcutKind


class ResidualNet(NamedParts):
    """Stem, residual units, head."""

    def __init__(self, plan: Blueprint) -> None:
        super().__init__()
        self.stem = stem(plan)
        self.units = nn.Sequential(*map(Unit, plan.units))
        self.head = head(plan)
        self.describe_maps(plan)
        self.begin()

    def begin(self) -> None:
        """Set the initial weights that the shortcuts define instead of random ones."""
        fixup = False
        for unit in self.units:
            assert isinstance(unit, Unit)
            fixup |= unit.begin(len(self.units))
        if fixup:
            classifier = self.head[-1]
            assert isinstance(classifier, nn.Linear)
            for parameter in classifier.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(joined(self.units(self.stem(x))))
        return logits


def stem(plan: Blueprint) -> nn.Sequential:
    """Return the layers before the units: BN and ReLU after each convolution; the order decides after the last one."""
    between = applied("original", plan.normalisation).stem
    return build_chain(plan.stem, between=between, last=plan.stem_last, bias=plan.normalisation == "none")


def head(plan: Blueprint) -> nn.Sequential:
    """Return the order's `tail`, global average pooling, and a linear classifier."""
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
        order, bias = plan.ordered, plan.normalisation == "none"
        channels, _ = plan.forked
        before = nn.Sequential(*activations(order.first, plan.in_channels))
        entry = build_chain(plan.entry, between="", last="" if order.first else order.between, bias=bias)
        self.shared = nn.Sequential(*before, *entry) if plan.entry or plan.shared_first else nn.Identity()
        first = [] if plan.shared_first else activations(order.first, channels)
        branch = build_chain(plan.chain, between=order.between, last=order.last, bias=bias)
        squeeze = [SqueezeExcitation(plan.channels, plan.squeeze)] if plan.squeeze else []
        self.F = nn.Sequential(*first, *branch, *squeeze)
        self.survival = Survival(plan.survival) if plan.survival < 1 else None
        self.h = Shortcut(plan)
        self.f = nn.Sequential(*activations(order.after, plan.out_channels))
        self.begins = plan.shortcut.begins
        self.depth = depth(plan.chain)
        self.recompute = False
        """Whether a training step recomputes the branch's activations in the backward pass instead of storing them."""

    def forward(self, x: Features) -> Features:
        if self.recompute and self.training:
            return self._recomputed(x)
        shared: Tensor = self.shared(x)
        y = self.h(shared, self.branch(shared))
        x_next: Tensor = self.f(y)
        return x_next

    def branch(self, x: Tensor) -> Tensor:
        """Return F(x), or a scalar 0 if this batch skips the branch."""
        if self.survival is None:
            return self.F(x)  # type: ignore[no-any-return]
        return self.survival(self.F(x)) if self.survival.survives() else x.new_zeros(())

    def _recomputed(self, x: Features) -> Features:
        """Run a training step that does not store its branch's activations.

        If the unit concatenates and nothing follows, return the parts: storing their concatenation would store all of
        them a second time.
        """
        parts = x if isinstance(x, tuple) else (x,)
        if not isinstance(self.shared, nn.Identity):
            parts = (recomputed(self.shared, parts),)
        skipped = self.survival is not None and not self.survival.survives()
        f = parts[0].new_zeros(()) if skipped else recomputed(self.F, parts)
        if self.h.concatenates and not len(self.f):
            return (*parts, f)
        y: Tensor = self.f(self.h(joined(parts), f))
        return y

    def begin(self, units: int) -> bool:
        """Apply the shortcut's rule for the branch's initial weights. Return whether it is Fixup's."""
        if self.begins == "zero_bn":
            for norm in last_modules(self.layers, nn.BatchNorm2d):
                nn.init.zeros_(norm.weight)
        if self.begins == "fixup":
            last = last_modules(self.layers, nn.Conv2d)
            for part in last:
                nn.init.zeros_(part.weight)
            for inner in self.layers.modules():
                if isinstance(inner, nn.Conv2d) and inner not in last:
                    # 1901.09321, section 3: m convolutions in each of L branches.
                    with torch.no_grad():
                        inner.weight.mul_(units ** (-1 / (2 * self.depth - 2)))
        return self.begins == "fixup"

    @property
    def layers(self) -> nn.Sequential:
        """The branch's layers without squeeze-and-excitation, which only scales their output."""
        return nn.Sequential(*(part for part in self.F if not isinstance(part, SqueezeExcitation)))


class Survival(nn.Module):
    """p_l F(x) in evaluation; F(x) in training, for a batch that keeps the branch. 1603.09382, equations 2 and 5."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def survives(self) -> bool:
        """Whether this batch keeps the branch.

        Drawn from torch's global generator on the CPU, which needs no synchronisation with a GPU.
        """
        return not self.training or bool(torch.rand(()) < self.p)

    def forward(self, f: Tensor) -> Tensor:
        return f if self.training else self.p * f

    def extra_repr(self) -> str:
        return f"{self.p}"


class SqueezeExcitation(nn.Module):
    """f * sigmoid(W2 relu(W1 mean(f))), the mean over each map, (N, C, 1, 1). 1709.01507, equations 2 to 4."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.excitation = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv(Convolution((1, 1), channels, hidden), bias=0.0),
            nn.ReLU(),
            conv(Convolution((1, 1), hidden, channels), bias=0.0),
            nn.Sigmoid(),
        )
        self.scale = Product()

    def forward(self, f: Tensor) -> Tensor:
        scaled: Tensor = self.scale(f, self.excitation(f))
        return scaled


class Product(nn.Module):
    """The elementwise product of two tensors."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b


class Shortcut(nn.Module):
    """Carry x to the sum and apply the shortcut's formula: `combine(x, F(x), g)`."""

    def __init__(self, plan: UnitPlan) -> None:
        super().__init__()
        self.sum = JOINS[plan.shortcut.join](plan.shortcut)
        self.concatenates = plan.shortcut.join == "concatenation"
        self.carry = CARRIES[plan.carry](plan)
        if plan.shortcut.drop:
            self.carry = nn.Sequential(self.carry, Dropout(plan.shortcut.drop))
        self.gate: nn.Module | None = None
        if plan.shortcut.gate is not None:
            self.gate = Gate(plan, plan.shortcut.gate)
        elif plan.shortcut.scalar is not None:
            self.gate = Scalar(plan.shortcut.scalar)

    def forward(self, x: Tensor, f: Tensor) -> Tensor:
        y: Tensor = self.sum(self.carry(x), f, self.gate(x) if self.gate else None)
        return y


class Sum(nn.Module):
    """The shortcut's formula as a module, so that all work of a unit happens in modules without submodules."""

    def __init__(self, shortcut: ShortcutKind) -> None:
        super().__init__()
        self.shortcut = shortcut

    def forward(self, x: Tensor | None, f: Tensor, g: Tensor | None) -> Tensor:
        y: Tensor = self.shortcut.combine(x, f, g)
        return y

    def extra_repr(self) -> str:
        return self.shortcut.formula


class Concatenation(Sum):
    """[x, f] by channel. 1608.06993, equation 2."""

    def forward(self, x: Tensor | None, f: Tensor, g: Tensor | None) -> Tensor:
        return torch.cat(self.shortcut.combine(x, f, g), dim=1)


JOINS: dict[str, Callable[[ShortcutKind], nn.Module]] = {"sum": Sum, "concatenation": Concatenation}


class Gate(nn.Module):
    """g = sigmoid(conv(x) + b), with b = `bias` initially. 1603.05027, section 3.1."""

    def __init__(self, plan: UnitPlan, bias: float) -> None:
        super().__init__()
        kernel = plan.shortcut.kernel_of_gate
        self.conv = conv(Convolution((kernel, kernel), plan.in_channels, plan.channels, plan.stride), bias=bias)
        self.squash = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        g: Tensor = self.squash(self.conv(x))
        return g


class Dropout(nn.Dropout):
    """x * m / (1 - p) in training, where m is 0 with probability p and else 1. 1603.05027, section 3.1.

    On a CPU the masks are drawn by `dropout_mask`.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        return x * dropout_mask(x, self.p)


def dropout_mask(x: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Return a mask for x, on a CPU: 0 with probability p, else 1 / (1 - p).

    Reason: torch's `bernoulli_` draws one number at a time. These are the same numbers, unless torch uses MKL's, as on
    processors of Intel.
    """
    drawn = torch.empty_like(x, dtype=torch.float64).uniform_(generator=generator)
    return (drawn < 1 - p).to(x.dtype).div_(1 - p)


class Scalar(nn.Module):
    """g = a, one learned scalar that starts at `value`."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value
        self.a = nn.Parameter(torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        return self.a


class Pad(nn.Module):
    """Option A: every stride-th pixel, with zero channels appended. 1512.03385, section 3.3."""

    def __init__(self, plan: UnitPlan) -> None:
        super().__init__()
        self.stride, self.more = plan.stride, plan.channels - plan.in_channels

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(strided_pixels(x, self.stride), (0, self.more)).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f"{self.stride}, {self.more}"


class Nothing(nn.Module):
    """The missing shortcut of a plain network."""

    def forward(self, x: Tensor) -> None:
        return None


def project(plan: UnitPlan) -> nn.Sequential:
    """Return options B and C: a 1x1 convolution followed by the order's `projection`."""
    shape = Convolution((1, 1), plan.in_channels, plan.channels, plan.stride)
    return build_chain((shape,), between="", last=plan.ordered.projection, bias=plan.normalisation == "none")


CARRIES: dict[Carry, Callable[[UnitPlan], nn.Module]] = {
    "keep": lambda plan: nn.Identity(),
    "pad": Pad,
    "project": project,
    "nothing": lambda plan: Nothing(),
}
