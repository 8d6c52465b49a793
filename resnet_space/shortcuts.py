"""The shortcuts `h` of a residual unit `y = h(x) + F(x)`: a catalogue of small formulas.

Each shortcut is a description with a formula that works on arrays of any type: `combine(x, f, g)`. `x` is the input
as the shortcut carries it (after the transition if the shape changes), `f = F(x)` is the branch's output; both have
shape (N, C, H, W). `g` is a learned gate of the same shape, or a learned scalar. To add a shortcut, add a class here:
no other code depends on the kind.

Source: He et al. 2016, 1603.05027, section 3, figure 2 and table 1; `conv1x1` also 1512.03385, option C. Other
sources are in the classes.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, get_args

from resnet_space.branch_kind import whole_kernel
from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.layers import Chain, Convolution, Pool
from resnet_space.numbers import Below1, Moderate, Proportion

Carry = Literal["transition", "project", "nothing", "keep"]
Join = Literal["sum", "concatenation"]
Beginning = Literal["", "zero_bn", "fixup"]
Fusing = Literal["linear", "elementwise", "none"]


class ShortcutKind(Kind):
    """The base of all shortcuts: their properties besides the formula."""

    carry: ClassVar[Carry] = "transition"
    """How `x` reaches the sum: `transition`: unchanged, except where the shape changes; `project`: always through a
    1x1 convolution; `nothing`: not at all; `keep`: always unchanged, because an earlier layer changes the shape for
    shortcut and branch."""
    join: ClassVar[Join] = "sum"
    """Whether `combine` returns a sum, or a list to concatenate along the channels."""
    begins: ClassVar[Beginning] = ""
    """Special rule for the branch's initial weights: its last BN at 0, Fixup's rules, or none."""
    per_channel: ClassVar[bool] = False
    """Whether the learned scalar is one per channel, (1, C, 1, 1)."""
    initial: ClassVar[frozenset[str]] = frozenset()
    """Fields that only set initial values of learned parameters and do not change the formula."""
    fusing: ClassVar[Fusing]
    """Whether `combine` also works for several networks with their channels side by side (see `fused`).

    `linear`: yes, and it is (a + a' g)*x + (b + b' g)*f with four constants, so networks with different shortcuts of
    this kind can train together. `elementwise`: yes, each output element depends only on the input elements at the same
    position. `none`: no, and networks with this shortcut train one at a time.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **settings: Any) -> None:
        """Check that a class that defines `combine` also defines `fusing`: a subclass's formula can fuse differently.

        Raises:
            TypeError: `fusing` is missing.
        """
        super().__pydantic_init_subclass__(**settings)
        if "combine" in vars(cls) and "fusing" not in vars(cls):
            allowed = " or ".join(map(repr, get_args(Fusing)))
            raise TypeError(f"{cls.__name__}: defines the formula `combine` but not `fusing`; set it to {allowed}")

    @property
    def formula(self) -> str:
        """An identifier that is equal for shortcuts that compute the same from the same weights."""
        return json.dumps({name: value for name, value in self.to_dict().items() if name not in self.initial})

    @property
    def gate(self) -> float | None:
        """Initial bias of the gate's convolution, or None without a gate."""
        return None

    @property
    def kernel_of_gate(self) -> int:
        """Kernel size of the gate's convolution."""
        return 1

    @property
    def scalar(self) -> float | None:
        """Initial value of the learned scalar, or None without one."""
        return None

    @property
    def drop(self) -> float:
        """Probability that an element of the carried `x` is dropped in training."""
        return 0.0

    def canonical(self) -> ShortcutKind:
        """Return the simplest shortcut that computes the same."""
        return self

    def like(self) -> ShortcutKind:
        """Return one representative of all shortcuts with the same operators.

        Values such as a gate's bias do not change the operation counts.
        """
        return type(self)()

    def entry(self, in_channels: int, stride: int) -> Chain:
        """Return the layers before the unit forks that change the shape for shortcut and branch.

        They replace the unit's stride.
        """
        return ()

    @property
    def coefficients(self) -> tuple[float, float, float, float]:
        """The constants a, a', b, b' of a linear formula (a + a' g)*x + (b + b' g)*f."""
        a, b = self.combine(1.0, 0.0, 0.0), self.combine(0.0, 1.0, 0.0)
        return a, self.combine(1.0, 0.0, 1.0) - a, b, self.combine(0.0, 1.0, 1.0) - b

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        """Return `y`, shape (N, C, H, W), from the carried input, the branch and the gate or scalar."""
        raise NotImplementedError


class IdentityShortcut(ShortcutKind):
    """x + F(x). 1512.03385, equation 1; 1603.05027, figure 2a."""

    kind: Literal["identity"] = "identity"
    fusing = "linear"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f


class ConstantScaling(ShortcutKind):
    """a*x + b*F(x), with constants a = `shortcut_scale` and b = `branch_scale`. 1603.05027, figure 2b.

    The paper's three: 0/1 (a plain net), 0.5/1, and 0.5/0.5 ("frozen gating").
    """

    kind: Literal["constant_scaling"] = "constant_scaling"
    fusing = "linear"
    shortcut_scale: Moderate = 0.5
    branch_scale: Moderate = 0.5

    def canonical(self) -> ShortcutKind:
        known: dict[tuple[float, float], ShortcutKind] = {(1, 1): IdentityShortcut(), (0, 1): NoShortcut()}
        return known.get((self.shortcut_scale, self.branch_scale), self)

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return self.shortcut_scale * x + self.branch_scale * f


class GatedShortcut(ShortcutKind):
    """Shortcuts with g = sigmoid(conv(x)), whose initial bias is `gate_bias`. 1603.05027, section 3.1.

    The convolution is 1x1; with `gate_kernel` 3 it is 3x3, as in a convolutional Highway layer (1507.06228).
    """

    initial = frozenset({"gate_bias"})
    gate_bias: Moderate = 0.0
    gate_kernel: Annotated[Literal[1, 3], whole_kernel(1, 3)] = 1

    @property
    def gate(self) -> float:
        return self.gate_bias

    @property
    def kernel_of_gate(self) -> int:
        return self.gate_kernel

    def like(self) -> ShortcutKind:
        return type(self)(gate_kernel=self.gate_kernel)


class ExclusiveGate(GatedShortcut):
    """(1 - g)*x + g*F(x), with g = sigmoid(conv(x)). 1603.05027, figure 2c; Highway's gate T, 1505.00387, eq. 3."""

    kind: Literal["exclusive_gate"] = "exclusive_gate"
    fusing = "linear"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return (1 - g) * x + g * f


class ShortcutOnlyGate(GatedShortcut):
    """(1 - g)*x + F(x), with g = sigmoid(conv(x)). 1603.05027, figure 2d."""

    kind: Literal["shortcut_only_gate"] = "shortcut_only_gate"
    fusing = "linear"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return (1 - g) * x + f


class Conv1x1Shortcut(ShortcutKind):
    """conv1x1(x) + F(x) in every unit. 1603.05027, figure 2e; 1512.03385, option C."""

    kind: Literal["conv1x1"] = "conv1x1"
    carry: ClassVar[Carry] = "project"
    fusing = "linear"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f


class DropoutShortcut(ShortcutKind):
    """dropout(x, p) + F(x): each element of x is zero with probability p, else x/(1-p). 1603.05027, figure 2f."""

    kind: Literal["dropout"] = "dropout"
    fusing = "linear"
    p: Below1 = 0.5

    @property
    def drop(self) -> float:
        return self.p

    def canonical(self) -> ShortcutKind:
        return self if self.p else IdentityShortcut()

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f


class NoShortcut(ShortcutKind):
    """F(x) alone: a plain net. 1512.03385, section 3.3."""

    kind: Literal["none"] = "none"
    carry: ClassVar[Carry] = "nothing"
    fusing = "linear"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return f


class ZeroInit(ShortcutKind):
    """x + F(x), with F(x) = 0 at first: the scale of its last BN starts at 0. Goyal et al. 2017, 1706.02677, 5.1."""

    kind: Literal["zero_init"] = "zero_init"
    begins: ClassVar[Beginning] = "zero_bn"
    fusing = "linear"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f


class LearnedScaling(ShortcutKind):
    """x + a*F(x), with a learned scalar a."""

    fusing = "linear"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + g * f


class ReZero(LearnedScaling):
    """x + a*F(x), with a learned scalar a that starts at 0. Bachlechner et al. 2020, 2003.04887, eq. 2."""

    kind: Literal["rezero"] = "rezero"

    @property
    def scalar(self) -> float:
        return 0.0


class SkipInit(LearnedScaling):
    """x + a*F(x), with a learned scalar a that starts at `scale`. De and Smith 2020, 2002.10444, section 4.

    The paper uses it instead of batch normalisation (`unit.normalisation: none`).
    """

    kind: Literal["skipinit"] = "skipinit"
    initial = frozenset({"scale"})
    scale: Moderate = 0.0

    @property
    def scalar(self) -> float:
        return self.scale

    def canonical(self) -> ShortcutKind:
        return self if self.scale else ReZero()


class Fixup(LearnedScaling):
    """x + a*F(x), a learned and 1 at first, weights by Fixup's rules. Zhang et al. 2019, 1901.09321, section 3.

    Initially the branch's last convolution is 0, its other convolutions are scaled by L^(-1/(2m-2)), with L units and
    m convolutions per branch, and the classifier is 0. The paper uses it instead of batch normalisation
    (`unit.normalisation: none`). Its scalar biases are replaced by the convolutions' biases, one per channel.
    """

    kind: Literal["fixup"] = "fixup"
    begins: ClassVar[Beginning] = "fixup"

    @property
    def scalar(self) -> float:
        return 1.0


class LayerScale(LearnedScaling):
    """x + a*F(x), with one learned scalar per channel that starts at `scale`. 2103.17239, eq. 8; 2201.03545, section 3.

    Touvron et al. 2021; ConvNeXt's scale is 1e-6.
    """

    kind: Literal["layer_scale"] = "layer_scale"
    per_channel: ClassVar[bool] = True
    initial = frozenset({"scale"})
    scale: Moderate = 1e-6

    @property
    def scalar(self) -> float:
        return self.scale


class Concatenation(ShortcutKind):
    """[x, F(x)] by channel: dense connectivity, with growth rate k = the stage's `channels`. 1608.06993, eq. 2.

    If a stage has a stride, its first unit is preceded by a 1x1 convolution to `compression` times the channels,
    rounded down, and by average pooling whose window is the stride.
    """

    kind: Literal["concatenation"] = "concatenation"
    carry: ClassVar[Carry] = "keep"
    join: ClassVar[Join] = "concatenation"
    fusing = "elementwise"
    compression: Proportion = 1.0

    def canonical(self) -> ShortcutKind:
        """Without `compression`, which only changes the layers before the unit."""
        return Concatenation()

    def entry(self, in_channels: int, stride: int) -> Chain:
        """The transition layer of section 3."""
        if stride == 1:
            return ()
        fewer = max(1, int(in_channels * Fraction(str(self.compression))))
        return (
            Convolution((1, 1), in_channels, fewer),
            Pool("avg", (stride, stride), stride, valid=True),
        )

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return [x, f]


SHORTCUTS: dict[str, type[ShortcutKind]] = kinds(ShortcutKind, globals())
"""All classes above that have a `kind`, by name."""

Shortcut = Annotated[ShortcutKind, OneOf(SHORTCUTS)]
