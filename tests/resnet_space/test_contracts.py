"""All parts in the catalogues pass the contract checks of `resnet_space.testing`, and every law can fail."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from random import random
from typing import Any, ClassVar, Literal

import pytest
import torch

from resnet_space.branch_kind import BranchKind
from resnet_space.branches import BRANCHES
from resnet_space.layers import Chain, Convolution
from resnet_space.orders import ORDERS, Order
from resnet_space.shortcuts import SHORTCUTS, Beginning, IdentityShortcut, ShortcutKind
from resnet_space.testing import (
    BRANCH_LAWS,
    NETWORK_LAWS,
    ORDER_LAWS,
    SHORTCUT_LAWS,
    Row,
    check_branch,
    check_network,
    check_order,
    check_shortcut,
)
from resnet_space.testing.parts import network

WRITTEN = {"layers": "[3x3/s c/2 | max 3x3/s, 1x1 c/2], 1x1 c linear"}

PARTS: dict[str, tuple[Mapping[str, Any], Any]] = {
    **{f"shortcut {kind}": (SHORTCUT_LAWS, SHORTCUTS[kind]()) for kind in SHORTCUTS},
    "shortcut exclusive_gate of 3x3": (SHORTCUT_LAWS, SHORTCUTS["exclusive_gate"].of({"gate_kernel": 3})),
    "shortcut skipinit of 0.5": (SHORTCUT_LAWS, SHORTCUTS["skipinit"].of({"scale": 0.5})),
    "shortcut dropout of 0": (SHORTCUT_LAWS, SHORTCUTS["dropout"].of({"p": 0})),
    **{
        f"shortcut constant_scaling of {x} and {f}": (
            SHORTCUT_LAWS,
            SHORTCUTS["constant_scaling"].of({"shortcut_scale": x, "branch_scale": f}),
        )
        for x, f in [(1, 1), (0, 1)]
    },
    # x is multiplied by 0, so no gradient reaches the layers that carry it.
    "shortcut constant_scaling of 0 and 0.5": (
        {name: SHORTCUT_LAWS[name] for name in SHORTCUT_LAWS if "canonical" in name},
        SHORTCUTS["constant_scaling"].of({"shortcut_scale": 0, "branch_scale": 0.5}),
    ),
    "shortcut concatenation with compression": (SHORTCUT_LAWS, SHORTCUTS["concatenation"].of({"compression": 0.5})),
    **{f"branch {k}": (BRANCH_LAWS, cls.of(WRITTEN if k == "written" else {})) for k, cls in BRANCHES.items()},
    "branch basic with squeeze": (BRANCH_LAWS, BRANCHES["basic"].of({"squeeze": 4})),
    "branch bottleneck of 2 groups": (BRANCH_LAWS, BRANCHES["bottleneck"].of({"cardinality": 2, "stride_on": "1x1"})),
    **{f"order {name}": (ORDER_LAWS, Row(name, order)) for name, order in ORDERS.items()},
}

LONG = ("exported_networks_compute_the_same",)
"""Laws that take seconds per part: outside CI they are checked for one part only."""

CASES = [
    pytest.param(part, law, id=f"{part}-{law}", marks=[pytest.mark.long] if law in LONG and number else [])
    for number, part in enumerate(PARTS)
    for law in PARTS[part][0]
]


@pytest.mark.parametrize(("part", "law"), CASES)
def test_a_part_in_the_catalogue_satisfies_the_law(part: str, law: str) -> None:
    laws, what = PARTS[part]
    laws[law](what)


class Halved(ShortcutKind):
    """x + 0.5*F(x): a shortcut that is not in the catalogue and satisfies every law."""

    kind: Literal["halved"] = "halved"
    fusing = "linear"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + 0.5 * f


class Bowtie(BranchKind):
    """1x1 to half of the channels, 3x3: a branch that is not in the catalogue."""

    kind: Literal["bowtie"] = "bowtie"

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        thin = channels // 2
        return (Convolution((1, 1), in_channels, thin), Convolution((3, 3), thin, channels, stride))


@pytest.mark.slow
def test_parts_outside_the_catalogue_can_be_checked_too() -> None:
    before = dict(ORDERS)
    check_shortcut(Halved())
    check_branch(Bowtie())
    check_order("late", Order(last="bn relu", after="relu", projection="bn"))
    check_network(network(shortcut=Halved(), branch=Bowtie()))
    assert before == ORDERS


# Parts that break one law each


class Borrowed(ShortcutKind):
    kind: Literal["identity"] = "identity"
    fusing = "elementwise"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f


class Lost(Halved):
    kind: Literal["lost"] = "lost"

    def to_yaml(self) -> str:
        return "kind: losst\n"


class Restless(Halved):
    kind: Literal["restless"] = "restless"
    turns: int = 0

    def canonical(self) -> ShortcutKind:
        return Restless(turns=self.turns + 1)


class Simplified(Halved):
    kind: Literal["simplified"] = "simplified"

    def canonical(self) -> ShortcutKind:
        return IdentityShortcut()


class Unzeroed(Halved):
    """Declares an initialisation rule that does not exist."""

    kind: Literal["unzeroed"] = "unzeroed"

    begins: ClassVar[Beginning] = "later"  # type: ignore[assignment]


class Cropped(Halved):
    kind: Literal["cropped"] = "cropped"
    fusing = "elementwise"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return (x + f)[:, :, 1:]


class Detached(Halved):
    kind: Literal["detached"] = "detached"
    fusing = "elementwise"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f.detach()


class Undercounted(Halved):
    kind: Literal["undercounted"] = "undercounted"
    thrice: bool = False
    fusing = "elementwise"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f + f + f if self.thrice else x + f


class Uncounted(Halved):
    kind: Literal["uncounted"] = "uncounted"
    fusing = "elementwise"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + torch.erf(f)


class Lucky(Halved):
    kind: Literal["lucky"] = "lucky"

    @property
    def scalar(self) -> float:
        return random()

    fusing = "elementwise"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + g * f


class Noisy(Halved):
    kind: Literal["noisy"] = "noisy"
    fusing = "elementwise"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f * torch.rand_like(f)


class Mixing(Halved):
    """Its mean is over the channels of all fused networks."""

    kind: Literal["mixing"] = "mixing"
    fusing = "elementwise"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f.mean(1, keepdim=True)


class Deciding(Halved):
    kind: Literal["deciding"] = "deciding"
    fusing = "elementwise"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f if f.sum() > 0 else x - f


class Curved(Halved):
    kind: Literal["curved"] = "curved"
    fusing = "linear"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f * f


class Narrow(Bowtie):
    kind: Literal["narrow"] = "narrow"

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        return (Convolution((3, 3), in_channels, channels),)


class Stiff(Bowtie):
    kind: Literal["stiff"] = "stiff"

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        return (Convolution((1, 1), in_channels, 1), Convolution((3, 3), 1, channels, stride))


class BorrowedBranch(Bowtie):
    kind: Literal["basic"] = "basic"  # type: ignore[assignment]


BROKEN: list[tuple[Mapping[str, Any], str, Any, str]] = [
    (SHORTCUT_LAWS, "written_and_read_back_it_is_equal", Lost(), "losst"),
    (SHORTCUT_LAWS, "the_shortcuts_kind_is_unique", Borrowed(), "'identity' is the kind of IdentityShortcut"),
    (SHORTCUT_LAWS, "its_canonical_form_is_final", Restless(), "turns=2"),
    (SHORTCUT_LAWS, "its_canonical_form_computes_the_same", Simplified(), "IdentityShortcut.* computes something else"),
    (SHORTCUT_LAWS, "initial_values_are_those_declared", Unzeroed(), "Unit 0's branch does not start at 0"),
    (SHORTCUT_LAWS, "its_formula_is_linear_if_it_says_so", Curved(), r"from \(1 \+ 0 g\)\*x \+ \(1 \+ 0 g\)\*F\(x\)"),
    (SHORTCUT_LAWS, "shapes_are_those_of_the_description", Cropped(), r"Unit 0 returns \(4, 16, 6, 9\); expected "),
    (SHORTCUT_LAWS, "a_gradient_reaches_every_weight", Detached(), r"No gradient reaches units\.0\.F\.0\.weight, "),
    (SHORTCUT_LAWS, "counts_are_those_of_the_whole_network", Undercounted(thrice=True), "By units: .*; as a whole: "),
    (SHORTCUT_LAWS, "every_operator_is_counted_or_listed", Uncounted(), "Neither counted nor listed: erf"),
    (SHORTCUT_LAWS, "a_seed_decides_all_weights", Lucky(), r"With the same seed these differ: units\.0\.h\.gate\.a"),
    (SHORTCUT_LAWS, "evaluation_draws_nothing", Noisy(), "Two passes over the same images differ"),
    (SHORTCUT_LAWS, "fused_networks_compute_the_same", Mixing(), "network 0 of 3 fused differ by up to"),
    (SHORTCUT_LAWS, "exported_networks_compute_the_same", Deciding(), "It raised "),
    (BRANCH_LAWS, "the_branchs_kind_is_unique", BorrowedBranch(), "'basic' is the kind of BasicBranch"),
    (BRANCH_LAWS, "its_chain_has_the_right_output_shape", Narrow(), "stride 2, it returns 16 channels of 8x8"),
    (BRANCH_LAWS, "it_grows_with_the_network", Stiff(), r"weights, and \d+ when twice as wide"),
    (ORDER_LAWS, "it_uses_only_bn_and_relu", Row("new", Order(after="gelu")), "after: 'gelu' contains gelu"),
    (ORDER_LAWS, "no_other_order_is_the_same", Row("new", ORDERS["original"]), "It is the same as original"),
]


@pytest.mark.parametrize(("laws", "law", "part", "message"), BROKEN, ids=[f"{row[1]}" for row in BROKEN])
def test_the_error_names_the_broken_law_and_what_was_found(
    laws: Mapping[str, Any], law: str, part: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resnet_space.testing.laws import check

    sentence = " ".join(laws[law].__doc__.split())
    with pytest.raises(AssertionError, match=message) as caught:
        check({law: laws[law]}, part, "the part")
    assert str(caught.value).startswith(f"the part breaks a law: {sentence} ")


def test_every_law_is_broken_by_some_part() -> None:
    assert {law for _, law, _, _ in BROKEN} == {*SHORTCUT_LAWS, *BRANCH_LAWS, *ORDER_LAWS, *NETWORK_LAWS}
