"""Networks that came after: other units, stems and heads, described with the same fields.

ResNet-D: 1812.01187, section 4. MobileNetV2: 1801.04381, table 2. EfficientNet: 1905.11946, table 1. RegNet:
2003.13678, section 3. ECA: 1910.03151. BiT: 1912.11370. ConvNeXt: 2201.03545. Inception-ResNet-v2 as its authors
released it: 1602.07261.

Dropout before classifiers and stochastic depth are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from resnet_space.architecture import Architecture
from resnet_space.attentions import AnyAttention, EfficientAttention, SqueezeExcitation
from resnet_space.branches import BottleneckBranch, WrittenBranch
from resnet_space.depthwise_branches import ConvNeXtBranch, InvertedBottleneckBranch, XBranch
from resnet_space.heads import ConvolutionHead, NormalisedHead
from resnet_space.normalisations import BatchNormalisation, GroupNormalisation, LayerNormalisation
from resnet_space.shortcuts import ConstantScaling, IdentityShortcut, LayerScale, NoShortcut
from resnet_space.stage_widths import QuantizedLinear
from resnet_space.stems import AnyStem, DeepStem, PatchStem, Stem, WrittenStem
from resnet_space.units import ResidualUnit, Stage, Transition, UnitOverride

WIDTHS = (256, 512, 1024, 2048)


def large(stages: Sequence[Stage] | QuantizedLinear, unit: ResidualUnit, stem: AnyStem, **fields: Any) -> Architecture:
    """A network for ImageNet, 224x224."""
    listed = stages if isinstance(stages, QuantizedLinear) else tuple(stages)
    return Architecture(
        input_shape=(3, 224, 224),
        classes=1000,
        stem=stem,
        stages=listed,
        unit=unit,
        **{"transition": "B"} | fields,
    )


def resnet50(unit: ResidualUnit, stem: AnyStem, transition: Transition = "B") -> Architecture:
    """Four stages of 3, 4, 6 and 3 bottlenecks. 1512.03385, table 1."""
    counts = zip((3, 4, 6, 3), WIDTHS, strict=True)
    stages = [Stage(units=n, channels=c, stride=2 if index else 1) for index, (n, c) in enumerate(counts)]
    return large(stages, unit, stem, transition=transition)


def resnet50d(attention: AnyAttention | None = None) -> Architecture:
    """A deep stem, and average pooling before projections. 1812.01187, figure 2."""
    stem = DeepStem(channels=64, stride=2, max_pool=True)
    return resnet50(ResidualUnit(branch=BottleneckBranch(attention=attention)), stem, "D")


def bit50() -> Architecture:
    """Pre-activation with group normalisation and standardised weights; the max pooling is padded with zeros."""
    unit = ResidualUnit(
        order="full_preactivation",
        branch=BottleneckBranch(),
        normalisation=GroupNormalisation(groups=32),
        weight_standardisation=True,
    )
    return resnet50(unit, WrittenStem(layers="7x7/2 64 without bn relu, zeros 1, max 3x3/2 valid"))


def inverted(
    rows: Sequence[tuple[float, int, int, int, int]],
    activation: str,
    attention: AnyAttention | None = None,
) -> Architecture:
    """Stages of inverted bottlenecks: expansion, channels, units, stride and kernel; then a 1x1 convolution to 1280."""
    stages = [
        Stage(
            units=units,
            channels=channels,
            stride=stride,
            unit=UnitOverride(branch=InvertedBottleneckBranch(expansion=expansion, kernel=kernel, attention=attention)),
        )
        for expansion, channels, units, stride, kernel in rows
    ]
    unit = ResidualUnit(order="linear_bottleneck", activation=activation, branch=InvertedBottleneckBranch())
    head = ConvolutionHead(channels=1280)
    return large(stages, unit, Stem(channels=32, stride=2), transition="none", head=head)


MOBILENET_V2 = inverted(
    [
        (1.0, 16, 1, 1, 3),
        (6.0, 24, 2, 2, 3),
        (6.0, 32, 3, 2, 3),
        (6.0, 64, 4, 2, 3),
        (6.0, 96, 3, 1, 3),
        (6.0, 160, 3, 2, 3),
        (6.0, 320, 1, 1, 3),
    ],
    "relu6",
)

# The hidden width is a quarter of the unit's input, as in the authors' code.
EFFICIENTNET_B0 = inverted(
    [
        (1.0, 16, 1, 1, 3),
        (6.0, 24, 2, 2, 3),
        (6.0, 40, 2, 2, 5),
        (6.0, 80, 3, 2, 3),
        (6.0, 112, 3, 1, 5),
        (6.0, 192, 4, 2, 5),
        (6.0, 320, 1, 1, 3),
    ],
    "silu",
    SqueezeExcitation(reduction=4, share_of="input", place="middle", activation="silu"),
)


def regnet(depth: int, w0: int, wa: float, wm: float, group_width: int, kind: Literal["x", "y"]) -> Architecture:
    """A RegNetX, or a RegNetY, which has squeeze-and-excitation after the 3x3. 2003.13678, figures 20 and 21."""
    attention = SqueezeExcitation(reduction=4, share_of="input", place="middle") if kind == "y" else None
    unit = ResidualUnit(branch=XBranch(group_width=group_width, attention=attention))
    stages = QuantizedLinear(depth=depth, w0=w0, wa=wa, wm=wm, group_width=group_width)
    return large(stages, unit, Stem(channels=32, stride=2))


REGNETS: dict[str, tuple[int, int, float, float, int]] = {
    "regnet_x_400mf": (22, 24, 24.48, 2.54, 16),
    "regnet_x_800mf": (16, 56, 35.73, 2.28, 16),
    "regnet_x_1_6gf": (18, 80, 34.01, 2.25, 24),
    "regnet_x_3_2gf": (25, 88, 26.31, 2.25, 48),
    "regnet_x_8gf": (23, 80, 49.56, 2.88, 120),
    "regnet_x_16gf": (22, 216, 55.59, 2.1, 128),
    "regnet_x_32gf": (23, 320, 69.86, 2.0, 168),
    "regnet_y_400mf": (16, 48, 27.89, 2.09, 8),
    "regnet_y_800mf": (14, 56, 38.84, 2.4, 16),
    "regnet_y_1_6gf": (27, 48, 20.71, 2.65, 24),
    "regnet_y_3_2gf": (21, 80, 42.63, 2.66, 24),
    "regnet_y_8gf": (17, 192, 76.82, 2.19, 56),
    "regnet_y_16gf": (18, 200, 106.23, 2.48, 112),
    "regnet_y_32gf": (20, 232, 115.89, 2.53, 232),
}
"""Depth, w0, wa, wm and group width."""


def convnext(units: tuple[int, int, int, int], channels: int) -> Architecture:
    """2201.03545, section 3."""
    stages = [Stage(units=n, channels=channels * 2**index, stride=2 if index else 1) for index, n in enumerate(units)]
    unit = ResidualUnit(
        shortcut=LayerScale(),
        order="linear_bottleneck",
        normalisation=LayerNormalisation(),
        activation="gelu",
        branch=ConvNeXtBranch(),
    )
    stem = PatchStem(patch=4, channels=channels, activation="none")
    return large(stages, unit, stem, transition="separate", head=NormalisedHead())


def _scaled(channels: int, layers: str, units: int, scale: float, *, after: bool = True) -> Stage:
    """Units x + scale F(x), with a ReLU after the addition unless it is not `after`."""
    shortcut = ConstantScaling(shortcut_scale=1, branch_scale=scale) if scale != 1 else IdentityShortcut()
    unit = UnitOverride(
        shortcut=shortcut,
        branch=WrittenBranch(layers=layers),
        order="original" if after else "linear_bottleneck",
    )
    return Stage(units=units, channels=channels, unit=unit)


def _plain(channels: int, layers: str, stride: int = 1) -> Stage:
    unit = UnitOverride(shortcut=NoShortcut(), branch=WrittenBranch(layers=layers))
    return Stage(units=1, channels=channels, stride=stride, unit=unit)


_BLOCK8 = "[1x1 192 | 1x1 192, 1x3 224, 3x1 256], 1x1 2080 linear"

INCEPTION_RESNET_V2_RELEASED = Architecture(
    input_shape=(3, 299, 299),
    classes=1000,
    stem=WrittenStem(
        layers="3x3/2 valid 32, 3x3 valid 32, 3x3 64, max 3x3/2 valid, 1x1 80, 3x3 valid 192, max 3x3/2 valid"
    ),
    stages=(
        _plain(320, "[1x1 96 | 1x1 48, 5x5 64 | 1x1 64, 3x3 96, 3x3 96 | avg 3x3, 1x1 64]"),
        _scaled(320, "[1x1 32 | 1x1 32, 3x3 32 | 1x1 32, 3x3 48, 3x3 64], 1x1 320 linear", 10, 0.17),
        _plain(1088, "[3x3/2 valid 384 | 1x1 256, 3x3 256, 3x3/2 valid 384 | max 3x3/2 valid]", 2),
        _scaled(1088, "[1x1 192 | 1x1 128, 1x7 160, 7x1 192], 1x1 1088 linear", 20, 0.1),
        _plain(
            2080,
            "[1x1 256, 3x3/2 valid 384 | 1x1 256, 3x3/2 valid 288 | 1x1 256, 3x3 288, 3x3/2 valid 320 | "
            "max 3x3/2 valid]",
            2,
        ),
        _scaled(2080, _BLOCK8, 9, 0.2),
        _scaled(2080, _BLOCK8, 1, 1, after=False),
    ),
    unit=ResidualUnit(normalisation=BatchNormalisation(eps=1e-3)),
    transition="B",
    head=ConvolutionHead(channels=1536),
)
"""The authors' code, which has twice the blocks of the paper's figures and other widths."""

DESCENDANTS: dict[str, tuple[Architecture, str]] = {
    "resnet50d": (resnet50d(), "1812.01187 table 5"),
    "ecaresnet50d": (resnet50d(EfficientAttention()), "1910.03151 table 3"),
    "resnetv2_50": (
        resnet50(
            ResidualUnit(order="full_preactivation", branch=BottleneckBranch()),
            Stem(kernel=7, channels=64, stride=2, max_pool=True),
        ),
        "1603.05027 section 5",
    ),
    "resnetv2_50x1_bit": (bit50(), "1912.11370 section 3"),
    "mobilenet_v2": (MOBILENET_V2, "1801.04381 table 2"),
    "efficientnet_b0": (EFFICIENTNET_B0, "1905.11946 table 1"),
    **{
        name: (regnet(*numbers, kind="x" if "_x_" in name else "y"), "2003.13678 figures 20 and 21")
        for name, numbers in REGNETS.items()
    },
    "convnext_tiny": (convnext((3, 3, 9, 3), 96), "2201.03545 section 3"),
    "convnext_small": (convnext((3, 3, 27, 3), 96), "2201.03545 section 3"),
    "convnext_base": (convnext((3, 3, 27, 3), 128), "2201.03545 section 3"),
    "inception_resnet_v2_released": (INCEPTION_RESNET_V2_RELEASED, "1602.07261 authors' code"),
}
"""A name, its source, and the description."""
