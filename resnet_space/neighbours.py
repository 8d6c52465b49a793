"""Related networks, described as residual networks with other shortcuts and branches: Highway, DenseNet, Inception.

Highway networks: 1507.06228, section 3.3. DenseNet: 1608.06993, tables 1 and 2. Inception-v4 and Inception-ResNet:
1602.07261, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from resnet_space.architecture import Architecture
from resnet_space.branches import DenseBottleneckBranch, SingleBranch, WrittenBranch
from resnet_space.normalisations import NoNormalisation
from resnet_space.shortcuts import Concatenation, ConstantScaling, ExclusiveGate, NoShortcut, Shortcut
from resnet_space.stems import AnyStem, Stem, WrittenStem
from resnet_space.units import ResidualUnit, Stage, UnitOverride


def highway(
    units: tuple[int, int, int], channels: tuple[int, int, int], *, gate_bias: float, thin: bool = False
) -> Architecture:
    """Convolutional Highway layers y = H(x) T(x) + x (1 - T(x)), with H(x) = relu(conv(x)), without BN.

    Three stages of `units` layers. The first layer of the second and of the third stage is a plain layer that changes
    the width, after a 2x2 max pooling, since a gate needs equal shapes. With `thin`, kernels alternate between 3x3 and
    1x1. The paper prints depths and approximate numbers of parameters, but no widths; the widths here give the printed
    numbers. Gates start at bias -4, the end of the paper's range at which all four networks train.
    """
    stages: list[Stage] = []
    for index, (count, width) in enumerate(zip(units, channels, strict=True)):
        if index:
            plain = UnitOverride(shortcut=NoShortcut(), branch=WrittenBranch(layers="max 2x2/2 valid, 3x3 c"))
            stages.append(Stage(units=1, channels=width, stride=2, unit=plain))
        gated = count - bool(index)
        if not thin:
            stages.append(Stage(units=gated, channels=width))
            continue
        for number in range(gated):
            kernel = 1 if number % 2 else 3
            gate = ExclusiveGate(gate_bias=gate_bias, gate_kernel=kernel)  # type: ignore[arg-type]
            layer = UnitOverride(shortcut=gate, branch=SingleBranch(kernel=kernel))
            stages.append(Stage(units=1, channels=width, unit=layer))
    return Architecture(
        stem=Stem(channels=channels[0]),
        stages=tuple(stages),
        unit=ResidualUnit(
            shortcut=ExclusiveGate(gate_bias=gate_bias, gate_kernel=3),
            order="relu_before_addition",
            normalisation=NoNormalisation(),
            branch=SingleBranch(),
        ),
    )


def densenet(
    units: Sequence[int], growth: int, *, stem: AnyStem, bottleneck: bool = True, compression: float = 0.5
) -> Architecture:
    """Dense stages of `units` layers with growth rate `growth`; DenseNet-B has `bottleneck`, -C `compression` < 1."""
    large = isinstance(stem, WrittenStem)
    return Architecture(
        input_shape=(3, 224, 224) if large else (3, 32, 32),
        classes=1000 if large else 10,
        stem=stem,
        stages=tuple(Stage(units=n, channels=growth, stride=2 if i else 1) for i, n in enumerate(units)),
        unit=ResidualUnit(
            shortcut=Concatenation(compression=compression),
            order="full_preactivation",
            branch=DenseBottleneckBranch() if bottleneck else SingleBranch(),
        ),
    )


def densenet_large(units: Sequence[int], growth: int = 32) -> Architecture:
    """DenseNet-BC on ImageNet: table 1."""
    return densenet(units, growth, stem=WrittenStem(layers=f"7x7/2 {2 * growth}, max 3x3/2"))


def written(channels: int, layers: str, units: int = 1, *, scale: float | None = None, stride: int = 1) -> Stage:
    """A stage of units whose branch is given as text: without a shortcut, or with F(x) multiplied by `scale`."""
    shortcut: Shortcut = NoShortcut() if scale is None else ConstantScaling(shortcut_scale=1, branch_scale=scale)
    unit = UnitOverride(shortcut=shortcut, branch=WrittenBranch(layers=layers))
    return Stage(units=units, channels=channels, stride=stride, unit=unit)


def inception(stem: str, *stages: Stage) -> Architecture:
    """A net for ImageNet, 299x299, with the order `original`."""
    return Architecture(
        input_shape=(3, 299, 299), classes=1000, stem=WrittenStem(layers=stem), stages=stages, transition="B"
    )


# 1602.07261, figures 3 and 14.
STEM_V4 = (
    "3x3/2 valid 32, 3x3 valid 32, 3x3 64, [max 3x3/2 valid | 3x3/2 valid 96], "
    "[1x1 64, 3x3 valid 96 | 1x1 64, 7x1 64, 1x7 64, 3x3 valid 96], [3x3/2 valid 192 | max 3x3/2 valid]"
)
STEM_V1 = "3x3/2 valid 32, 3x3 valid 32, 3x3 64, max 3x3/2 valid, 1x1 80, 3x3 valid 192, 3x3/2 valid 256"


def reduction_a(k: int, l: int, m: int, n: int) -> str:  # noqa: E741 (the paper's letters)
    """Figure 7."""
    return f"[max 3x3/2 valid | 3x3/2 valid {n} | 1x1 {k}, 3x3 {l}, 3x3/2 valid {m}]"


def reduction_b(a: int, b: int, c: int) -> str:
    """Figures 12 and 18."""
    return (
        f"[max 3x3/2 valid | 1x1 256, 3x3/2 valid {a} | 1x1 256, 3x3/2 valid {b} | 1x1 256, 3x3 {b}, 3x3/2 valid {c}]"
    )


INCEPTION_V4 = inception(
    STEM_V4,
    written(384, "[avg 3x3, 1x1 96 | 1x1 96 | 1x1 64, 3x3 96 | 1x1 64, 3x3 96, 3x3 96]", 4),
    written(1024, reduction_a(192, 224, 256, 384), stride=2),
    written(
        1024,
        "[avg 3x3, 1x1 128 | 1x1 384 | 1x1 192, 1x7 224, 7x1 256 | 1x1 192, 1x7 192, 7x1 224, 1x7 224, 7x1 256]",
        7,
    ),
    written(
        1536,
        "[max 3x3/2 valid | 1x1 192, 3x3/2 valid 192 | 1x1 256, 1x7 256, 7x1 320, 3x3/2 valid 320]",
        stride=2,
    ),
    written(
        1536,
        "[avg 3x3, 1x1 256 | 1x1 256 | 1x1 384, [1x3 256 | 3x1 256] | 1x1 384, 1x3 448, 3x1 512, [3x1 256 | 1x3 256]]",
        3,
    ),
)


def inception_resnet_v1(scale: float = 0.17) -> Architecture:
    """Figures 10 to 15; F(x) is multiplied by `scale`, 0.1 to 0.3 in section 3.3."""
    return inception(
        STEM_V1,
        written(256, "[1x1 32 | 1x1 32, 3x3 32 | 1x1 32, 3x3 32, 3x3 32], 1x1 256 linear", 5, scale=scale),
        written(896, reduction_a(192, 192, 256, 384), stride=2),
        written(896, "[1x1 128 | 1x1 128, 1x7 128, 7x1 128], 1x1 896 linear", 10, scale=scale),
        written(1792, reduction_b(384, 256, 256), stride=2),
        written(1792, "[1x1 192 | 1x1 192, 1x3 192, 3x1 192], 1x1 1792 linear", 5, scale=scale),
    )


def inception_resnet_v2(scale: float = 0.17) -> Architecture:
    """Figures 3 and 15 to 19.

    The sums have 1152 and 2144 channels, the output of the reductions; figures 17 and 19 print 1154 and 2048, which
    could not be added.
    """
    return inception(
        STEM_V4,
        written(384, "[1x1 32 | 1x1 32, 3x3 32 | 1x1 32, 3x3 48, 3x3 64], 1x1 384 linear", 5, scale=scale),
        written(1152, reduction_a(256, 256, 384, 384), stride=2),
        written(1152, "[1x1 192 | 1x1 128, 1x7 160, 7x1 192], 1x1 1152 linear", 10, scale=scale),
        written(2144, reduction_b(384, 288, 320), stride=2),
        written(2144, "[1x1 192 | 1x1 192, 1x3 224, 3x1 256], 1x1 2144 linear", 5, scale=scale),
    )


NEIGHBOURS: dict[str, tuple[Architecture, str]] = {
    "highway1": (highway((3, 3, 3), (16, 36, 64), gate_bias=-4), "1507.06228 table 1"),
    "highway2": (highway((5, 6, 6), (36, 80, 128), gate_bias=-4), "1507.06228 table 1"),
    "highway3": (highway((5, 6, 6), (24, 64, 100), gate_bias=-4), "1507.06228 table 1"),
    "highway4": (highway((10, 10, 10), (16, 64, 88), gate_bias=-4, thin=True), "1507.06228 table 1"),
    "densenet40_k12": (
        densenet((12, 12, 12), 12, stem=Stem(channels=16), bottleneck=False, compression=1),
        "1608.06993 table 2",
    ),
    "densenet_bc_100_k12": (densenet((16, 16, 16), 12, stem=Stem(channels=24)), "1608.06993 table 2"),
    "densenet_bc_250_k24": (densenet((41, 41, 41), 24, stem=Stem(channels=48)), "1608.06993 table 2"),
    "densenet121": (densenet_large((6, 12, 24, 16)), "1608.06993 table 1"),
    "densenet169": (densenet_large((6, 12, 32, 32)), "1608.06993 table 1"),
    "densenet201": (densenet_large((6, 12, 48, 32)), "1608.06993 table 1"),
    "inception_v4": (INCEPTION_V4, "1602.07261 figure 9"),
    "inception_resnet_v1": (inception_resnet_v1(), "1602.07261 figure 15"),
    "inception_resnet_v2": (inception_resnet_v2(), "1602.07261 figure 15"),
}
