"""The networks of the papers: a name, its source, and the description.

CIFAR nets of 6n+2 and 9n+2 layers: 1512.03385, section 4.2, and 1603.05027, section 5. ImageNet nets: 1512.03385,
table 1. ResNeXt: 1611.05431, tables 1 and 4, and section 5.3. Wide nets: 1605.07146. Squeeze-and-excitation:
1709.01507. Related networks that are not residual networks are in `neighbours`, later ones in `descendants`.

Every bottleneck has its stride on the 3x3, like torchvision; the first version of 1512.03385 had it on the first 1x1
(`unit.branch.stride_on=1x1`), with fewer MACs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from resnet_space.architecture import Architecture
from resnet_space.branches import BasicBranch, BottleneckBranch, Branch
from resnet_space.descendants import DESCENDANTS
from resnet_space.errors import unknown
from resnet_space.neighbours import NEIGHBOURS
from resnet_space.orders import OrderName
from resnet_space.shortcuts import IdentityShortcut, NoShortcut, Shortcut
from resnet_space.stems import Stem
from resnet_space.units import ResidualUnit, Stage, Transition


@dataclass(frozen=True)
class Preset:
    """A network and its source."""

    net: Architecture
    source: str


def cifar(
    units: int,
    channels: tuple[int, int, int] = (16, 32, 64),
    *,
    shortcut: Shortcut = IdentityShortcut(),  # noqa: B008 (frozen)
    order: OrderName = "original",
    branch: Branch = BasicBranch(),  # noqa: B008 (frozen)
    transition: Transition = "A",
    stem: int = 16,
) -> Architecture:
    """Three stages of `units` units on 32x32, 16x16 and 8x8 maps."""
    return Architecture(
        input_shape=(3, 32, 32),
        classes=10,
        stem=Stem(kernel=3, channels=stem),
        stages=tuple(Stage(units=units, channels=c, stride=s) for c, s in zip(channels, (1, 2, 2), strict=True)),
        unit=ResidualUnit(shortcut=shortcut, order=order, branch=branch),
        transition=transition,
    )


def imagenet(
    units: tuple[int, int, int, int],
    *,
    shortcut: Shortcut = IdentityShortcut(),  # noqa: B008 (frozen)
    order: OrderName = "original",
    branch: Branch = BasicBranch(),  # noqa: B008 (frozen)
) -> Architecture:
    """Four stages on 56x56, 28x28, 14x14 and 7x7 maps, with projections at each change of shape."""
    first = 256 if isinstance(branch, BottleneckBranch) else 64
    widths = [first * 2**stage for stage in range(4)]
    return Architecture(
        input_shape=(3, 224, 224),
        classes=1000,
        stem=Stem(kernel=7, channels=64, stride=2, max_pool=True),
        stages=tuple(Stage(units=n, channels=c, stride=s) for n, c, s in zip(units, widths, (1, 2, 2, 2), strict=True)),
        unit=ResidualUnit(shortcut=shortcut, order=order, branch=branch),
        transition="B",
    )


def cxd(cardinality: int, d: int) -> BottleneckBranch:
    """The branch of a ResNeXt C x d: C groups of d channels in the first stage's 3x3."""
    return BottleneckBranch(width=cardinality * d, cardinality=cardinality)


_bottlenecks = partial(cifar, channels=(64, 128, 256), transition="B")
_preactivation = partial(cifar, order="full_preactivation", transition="B")
_resnext29 = partial(cifar, channels=(256, 512, 1024), transition="B", stem=64)
_PLAIN, _QUARTER = NoShortcut(), BottleneckBranch()

_ROWS: dict[str, tuple[Architecture, str]] = {
    **{f"plain{6 * n + 2}": (cifar(n, shortcut=_PLAIN), "1512.03385 section 4.2") for n in (3, 5, 7, 9, 18)},
    **{f"resnet{6 * n + 2}": (cifar(n), "1512.03385 table 6") for n in (3, 5, 7, 9, 18, 200)},
    "resnet164": (_bottlenecks(18, branch=_QUARTER), "1603.05027 table 2"),
    **{f"preresnet{6 * n + 2}": (_preactivation(n), "1603.05027 table 3") for n in (3, 9, 18)},
    **{
        f"preresnet{9 * n + 2}": (
            _bottlenecks(n, branch=_QUARTER, order="full_preactivation"),
            "1603.05027 table 3",
        )
        for n in (18, 111)
    },
    **{f"resnext29_{c}x64d": (_resnext29(3, branch=cxd(c, 64)), "1611.05431 table 7") for c in (8, 16)},
    "plain18": (imagenet((2, 2, 2, 2), shortcut=_PLAIN), "1512.03385 table 2"),
    "plain34": (imagenet((3, 4, 6, 3), shortcut=_PLAIN), "1512.03385 table 2"),
    "resnet18": (imagenet((2, 2, 2, 2)), "1512.03385 table 2"),
    "resnet34": (imagenet((3, 4, 6, 3)), "1512.03385 table 3"),
    "resnet50": (imagenet((3, 4, 6, 3), branch=_QUARTER), "1512.03385 table 3"),
    "resnet101": (imagenet((3, 4, 23, 3), branch=_QUARTER), "1512.03385 table 3"),
    "resnet152": (imagenet((3, 8, 36, 3), branch=_QUARTER), "1512.03385 table 3"),
    "resnet200": (imagenet((3, 24, 36, 3), branch=_QUARTER), "1603.05027 table 5"),
    "preresnet200": (
        imagenet((3, 24, 36, 3), branch=_QUARTER, order="full_preactivation"),
        "1603.05027 table 5",
    ),
    "resnext50_32x4d": (imagenet((3, 4, 6, 3), branch=cxd(32, 4)), "1611.05431 table 1"),
    **{
        f"resnext101_{c}x{d}d": (imagenet((3, 4, 23, 3), branch=cxd(c, d)), "1611.05431 table 4")
        for c, d in ((32, 4), (2, 64), (64, 4))
    },
    # The depth of WRN-depth-k includes the projections and not the classifier: 6n + 4 layers, k times as wide.
    "wrn16_8": (_preactivation(2, (128, 256, 512)), "1605.07146 table 5"),
    "wrn28_10": (_preactivation(4, (160, 320, 640)), "1605.07146 table 5"),
    "se_resnet50": (imagenet((3, 4, 6, 3), branch=BottleneckBranch(squeeze=16)), "1709.01507 table 1"),
    "resnet101_1x100d": (imagenet((3, 4, 23, 3), branch=cxd(1, 100)), "1611.05431 table 4"),
}

PRESETS: dict[str, Preset] = {name: Preset(*row) for name, row in (_ROWS | NEIGHBOURS | DESCENDANTS).items()}


def preset(name: str, **changes: Any) -> Architecture:
    """Return a network of the papers by name, with changes as for `Architecture.replace`.

    >>> preset("resnet110", shortcut={"kind": "exclusive_gate", "gate_bias": -6}).depth
    110

    Raises:
        InputError: unknown name, field or value.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    net = PRESETS[name].net
    return net.replace(**changes) if changes else net


__all__ = ["PRESETS", "Preset", "cifar", "cxd", "imagenet", "preset"]
