"""The shortcuts `h` of a residual unit `y = h(x) + F(x)`: a catalogue of small formulas.

Each is a description and its own formula over arrays of any kind: `combine(x, f, g)` with `x` the input as the
shortcut carries it (through the transition where the shape changes), `f = F(x)` the branch, `g` the gate, all of
shape (N, C, H, W). A new shortcut is a new class here and a name in `Shortcut`; nothing else decides by kind.

Source: He et al. 2016, 1603.05027, section 3, figure 2 and table 1; `conv1x1` also 1512.03385, option C.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from resnet_space.description import Description, by_kind, kind_of

Carry = Literal["transition", "project", "nothing"]


class ShortcutKind(Description):
    """What every shortcut says of itself, beyond its formula."""

    carry: ClassVar[Carry] = "transition"
    """How `x` gets to the sum: unchanged but at a change of shape, always by a 1x1 convolution, or not at all."""

    @property
    def gate(self) -> float | None:
        """Bias at initialisation of the gate's 1x1 convolution, or None without a gate."""
        return None

    @property
    def drop(self) -> float:
        """Probability that an element of the carried `x` is dropped while training."""
        return 0.0

    def canonical(self) -> ShortcutKind:
        """The simplest shortcut that computes the same."""
        return self

    def like(self) -> ShortcutKind:
        """One for all shortcuts with the same operators: numbers such as a gate's bias do not change the counts."""
        return type(self)()

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        """`y`, shape (N, C, H, W), from the carried input, the branch and the gate."""
        raise NotImplementedError


class IdentityShortcut(ShortcutKind):
    """x + F(x). 1512.03385, equation 1; 1603.05027, figure 2a."""

    kind: Literal["identity"] = "identity"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f


class ConstantScaling(ShortcutKind):
    """a*x + b*F(x), with constants a = `shortcut_scale` and b = `branch_scale`. 1603.05027, figure 2b.

    The paper's three: 0/1 (a plain net), 0.5/1, and 0.5/0.5 ("frozen gating").
    """

    kind: Literal["constant_scaling"] = "constant_scaling"
    shortcut_scale: float = 0.5
    branch_scale: float = 0.5

    def canonical(self) -> ShortcutKind:
        known: dict[tuple[float, float], ShortcutKind] = {(1, 1): IdentityShortcut(), (0, 1): NoShortcut()}
        return known.get((self.shortcut_scale, self.branch_scale), self)

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return self.shortcut_scale * x + self.branch_scale * f


class GatedShortcut(ShortcutKind):
    """Shortcuts with g = sigmoid(conv1x1(x)), whose bias is `gate_bias` at initialisation. 1603.05027, section 3.1."""

    gate_bias: float = 0.0

    @property
    def gate(self) -> float:
        return self.gate_bias


class ExclusiveGate(GatedShortcut):
    """(1 - g)*x + g*F(x), with g = sigmoid(conv1x1(x)). 1603.05027, figure 2c; after Highway, 1505.00387."""

    kind: Literal["exclusive_gate"] = "exclusive_gate"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return (1 - g) * x + g * f


class ShortcutOnlyGate(GatedShortcut):
    """(1 - g)*x + F(x), with g = sigmoid(conv1x1(x)). 1603.05027, figure 2d."""

    kind: Literal["shortcut_only_gate"] = "shortcut_only_gate"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return (1 - g) * x + f


class Conv1x1Shortcut(ShortcutKind):
    """conv1x1(x) + F(x) in every unit. 1603.05027, figure 2e; 1512.03385, option C."""

    kind: Literal["conv1x1"] = "conv1x1"
    carry: ClassVar[Carry] = "project"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f


class DropoutShortcut(ShortcutKind):
    """dropout(x, p) + F(x): each element of x is zero with probability p, else x/(1-p). 1603.05027, figure 2f."""

    kind: Literal["dropout"] = "dropout"
    p: Annotated[float, Field(ge=0, lt=1)] = 0.5

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

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return f


_KINDS = (
    IdentityShortcut,
    ConstantScaling,
    ExclusiveGate,
    ShortcutOnlyGate,
    Conv1x1Shortcut,
    DropoutShortcut,
    NoShortcut,
)

Shortcut = Annotated[
    IdentityShortcut
    | ConstantScaling
    | ExclusiveGate
    | ShortcutOnlyGate
    | Conv1x1Shortcut
    | DropoutShortcut
    | NoShortcut,
    *by_kind(*_KINDS),
]

SHORTCUTS: dict[str, type[ShortcutKind]] = {kind_of(cls): cls for cls in _KINDS}
