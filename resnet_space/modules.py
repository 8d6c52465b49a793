"""The torch modules of a residual network; each forward is the papers' formula, with shapes (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space.attention_layers import ATTENTIONS
from resnet_space.blueprint import Blueprint
from resnet_space.chains import BlurPool, Dropout, build_chain, last_modules
from resnet_space.conv_layers import conv, strided_pixels
from resnet_space.features import NamedParts
from resnet_space.layers import Convolution, depth, out_channels
from resnet_space.norm_layers import NORMS, PixelMean, word_layers
from resnet_space.orders import applied
from resnet_space.recomputing import Features, joined, recomputed
from resnet_space.shortcuts import ShortcutKind
from resnet_space.unit_plans import Carry, UnitPlan


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
    begin = plan.stem
    return build_chain(begin.chain, between=applied("original", begin.words).stem, last=begin.last, words=begin.words)


def head(plan: Blueprint) -> nn.Sequential:
    """Return the order's `tail`, the head's layers, global average pooling, and a linear classifier."""
    end = plan.head
    channels, both = out_channels(end.chain, plan.channels), applied("original", end.words).stem
    return nn.Sequential(
        *word_layers(end.first, plan.channels, end.words),
        *build_chain(end.chain, between=both, last=both, words=end.words),
        nn.AdaptiveAvgPool2d(1) if end.words.activation in ("relu", "none") else PixelMean(),
        *word_layers(end.last, channels, end.words),
        nn.Flatten(),
        nn.Linear(channels, plan.classes),
    )


class Unit(nn.Module):
    """y = h(x) + F(x), x' = f(y). 1603.05027, equations 1 and 2."""

    def __init__(self, plan: UnitPlan) -> None:
        super().__init__()
        order, words = plan.ordered, plan.words
        (start, _), (channels, _) = plan.started, plan.forked
        self.down = down(plan) if plan.down else None
        before = nn.Sequential(*word_layers(order.first, start, words))
        entry = build_chain(plan.entry, between="", last="" if order.first else order.between, words=words)
        self.shared = nn.Sequential(*before, *entry) if plan.entry or plan.shared_first else nn.Identity()
        first = [] if plan.shared_first else word_layers(order.first, channels, words)
        self.F = nn.Sequential(*first, *build_chain(plan.chain, between=order.between, last=order.last, words=words))
        self.survival = Survival(plan.survival) if plan.survival < 1 else None
        self.h = Shortcut(plan)
        self.f = nn.Sequential(*word_layers(order.after, plan.out_channels, words))
        self.begins = plan.shortcut.begins
        self.depth = depth(plan.chain)
        self.recompute = False
        """Whether a training step recomputes the branch's activations in the backward pass instead of storing them."""

    def forward(self, x: Features) -> Features:
        if self.recompute and self.training:
            return self._recomputed(x)
        shared: Tensor = self.shared(x if self.down is None else self.down(x))
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
        if self.down is not None:
            parts = (self.down(joined(parts)),)
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
            for norm in last_modules(self.layers, NORMS):
                nn.init.zeros_(norm.get_parameter("weight"))
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
        """The branch's layers without attention, which only scales their output."""
        return nn.Sequential(*(part for part in self.F if not isinstance(part, ATTENTIONS)))


def down(plan: UnitPlan) -> nn.Sequential:
    """Return the normalisation and the convolution that change the shape before the unit. 2201.03545, section 2.6."""
    first = word_layers(plan.words.meaningful("bn"), plan.in_channels, plan.words)
    return nn.Sequential(*first, *build_chain(plan.down, between="", last="", words=plan.words))


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
            scalar = plan.shortcut.scalar
            self.gate = Scalars(scalar, plan.channels) if plan.shortcut.per_channel else Scalar(scalar)

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
        self.conv = conv(Convolution((kernel, kernel), plan.forked[0], plan.channels, plan.stride), bias=bias)
        self.squash = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        g: Tensor = self.squash(self.conv(x))
        return g


class Scalar(nn.Module):
    """g = a, one learned scalar that starts at `value`."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value
        self.a = nn.Parameter(torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        return self.a


class Scalars(nn.Module):
    """g = a, one learned scalar per channel, (1, C, 1, 1), that starts at `value`."""

    def __init__(self, value: float, channels: int) -> None:
        super().__init__()
        self.value = value
        self.a = nn.Parameter(torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        return self.a.view(1, -1, 1, 1)

    def extra_repr(self) -> str:
        return f"{len(self.a)} channels"


class Pad(nn.Module):
    """Option A: every stride-th pixel, with zero channels appended. 1512.03385, section 3.3."""

    def __init__(self, plan: UnitPlan) -> None:
        super().__init__()
        self.stride, self.more = plan.stride, plan.channels - plan.forked[0]

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
    return _projection(plan, plan.stride)


def _projection(plan: UnitPlan, stride: int) -> nn.Sequential:
    shape = Convolution((1, 1), plan.forked[0], plan.channels, stride)
    return build_chain((shape,), between="", last=plan.ordered.projection, words=plan.words)


def pool_project(plan: UnitPlan) -> nn.Sequential:
    """Return option D: average pooling whose window is the stride, then the 1x1 convolution. 1812.01187, figure 2c.

    At a border that the stride does not reach, the window is smaller, so that the map has the size of the branch's.
    """
    pool = nn.AvgPool2d(plan.stride, plan.stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, *_projection(plan, 1))


def blur_project(plan: UnitPlan) -> nn.Sequential:
    """Return blur pooling, then the 1x1 convolution. 1904.11486, section 3.2."""
    return nn.Sequential(BlurPool(plan.stride), *_projection(plan, 1))


CARRIES: dict[Carry, Callable[[UnitPlan], nn.Module]] = {
    "keep": lambda plan: nn.Identity(),
    "pad": Pad,
    "project": project,
    "pool_project": pool_project,
    "blur_project": blur_project,
    "nothing": lambda plan: Nothing(),
}
