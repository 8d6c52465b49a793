"""Laws that shortcuts, branches and orders satisfy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from fractions import Fraction
from itertools import product
from typing import NamedTuple, TypeVar, cast

import torch

from resnet_space import layers
from resnet_space.architecture import Architecture
from resnet_space.branch_kind import BranchKind
from resnet_space.branches import BRANCHES, BasicBranch, BottleneckBranch
from resnet_space.description import Description, kind_of
from resnet_space.modules import Gate, Scalar, Scalars, Unit
from resnet_space.normalisations import BatchNormalisation, NoNormalisation, NormalisationKind
from resnet_space.orders import ORDERS, Order, applied, canonical
from resnet_space.shortcuts import SHORTCUTS, IdentityShortcut, ShortcutKind
from resnet_space.testing.laws import Laws, check, expect, table
from resnet_space.testing.networks import NETWORK_LAWS, exported_networks_compute_the_same
from resnet_space.unit_plans import Carry
from resnet_space.units import ResidualUnit, Transition

Kind = TypeVar("Kind", bound=Description)
Part = TypeVar("Part")


class Row(NamedTuple):
    """An order and its name."""

    name: str
    order: Order


def check_shortcut(part: ShortcutKind) -> None:
    """Check every law of `SHORTCUT_LAWS`, on small networks with this shortcut. It need not be in the catalogue.

    Raises:
        AssertionError: the first law that is broken.
    """
    check(SHORTCUT_LAWS, part, repr(part))


def check_branch(part: BranchKind) -> None:
    """Check every law of `BRANCH_LAWS`, on small networks with this branch. It need not be in the catalogue.

    Raises:
        AssertionError: the first law that is broken.
    """
    check(BRANCH_LAWS, part, repr(part))


def check_order(name: str, order: Order) -> None:
    """Check every law of `ORDER_LAWS`, on small networks with this order. It need not be in the catalogue.

    Raises:
        AssertionError: the first law that is broken.
    """
    check(ORDER_LAWS, Row(name, order), f"the order {name!r}")


# Laws of a description


def written_and_read_back_it_is_equal(part: Description) -> None:
    """Written as YAML, JSON or plain data and read back, it is equal."""
    kind = type(part)
    again = {"YAML": kind.from_yaml(part.to_yaml()), "JSON": kind.from_json(part.to_json())}
    for form, found in (again | {"plain data": kind.of(part.to_dict())}).items():
        expect(found == part, f"Read back from {form}, it is {found!r}.")


def _its_kind_is_unique(part: Kind, catalogue: dict[str, type[Kind]]) -> None:
    kind = kind_of(type(part))
    bases = [base for base in type(part).__mro__[1:] if issubclass(base, Description)]
    owner = next((base for base in bases if kind_of(base) == kind), catalogue.get(kind, type(part)))
    expect("kind" in type(part).model_fields, "It has no field `kind`, such as `kind: Literal['mine'] = 'mine'`.")
    expect(owner is type(part), f"{kind!r} is the kind of {owner.__name__}.")


# Laws of a shortcut


def the_shortcuts_kind_is_unique(part: ShortcutKind) -> None:
    """No other shortcut has its `kind`, which is part of a network's key."""
    _its_kind_is_unique(part, SHORTCUTS)


def its_canonical_form_is_final(part: ShortcutKind) -> None:
    """The canonical form is a shortcut, and is its own canonical form."""
    once = part.canonical()
    expect(isinstance(once, ShortcutKind), f"The canonical form is {once!r}.")
    expect(once.canonical() == once, f"The canonical form {once!r} has another canonical form: {once.canonical()!r}.")


def its_canonical_form_computes_the_same(part: ShortcutKind) -> None:
    """A unit with the canonical form computes bit for bit the same as a unit with the shortcut."""
    plan = network().blueprint.units[1]
    written, simplest = (
        Unit(replace(plan, shortcut=each, carry=_carried(each))).train() for each in (part, part.canonical())
    )
    simplest.load_state_dict(written.state_dict())
    x, found = torch.randn(2, plan.in_channels, *plan.size), []
    for unit in (written, simplest):
        torch.manual_seed(0)
        found.append(unit(x))
    expect(torch.equal(*found), f"{part.canonical()!r} computes something else.")


def initial_values_are_those_declared(part: ShortcutKind) -> None:
    """The gate's bias and the scalar start at the declared values, and a branch declared to start at 0 returns 0."""
    from resnet_space.builder import build

    for net in _with_shortcut(part):
        shortcut = net.blueprint.units[0].shortcut
        model = build(net, seed=0)
        for number, (unit, plan) in enumerate(zip(model.units, net.blueprint.units, strict=True)):
            assert isinstance(unit, Unit)
            for gate in (made for made in unit.h.modules() if isinstance(made, Gate)):
                bias = cast(torch.Tensor, gate.conv.bias)
                right = bool(bias.eq(shortcut.gate or 0.0).all())
                expect(right, f"Unit {number}'s gate does not start at {shortcut.gate}.")
            for scalar in (made for made in unit.h.modules() if isinstance(made, Scalar | Scalars)):
                found = scalar.a.detach()
                right = bool(found.eq(shortcut.scalar or 0.0).all())
                expect(right, f"Unit {number}'s scalar starts at {found}, not {shortcut.scalar}.")
            if shortcut.begins:
                f = unit.F(torch.randn(2, plan.forked[0], *plan.forked[1]))
                expect(not f.any(), f"Unit {number}'s branch does not start at 0.")


def its_formula_is_linear_if_it_says_so(part: ShortcutKind) -> None:
    """A formula that is declared `linear` is (a + a' g)*x + (b + b' g)*F(x), with its coefficients."""
    if part.fusing != "linear":
        return
    random = torch.Generator().manual_seed(0)
    x, f, g = torch.randn(3, 100, generator=random, dtype=torch.float64)
    a, a_of_g, b, b_of_g = part.coefficients
    found, wanted = part.combine(x, f, g), (a + a_of_g * g) * x + (b + b_of_g * g) * f
    off = float((found - wanted).abs().max())
    expect(off < 1e-9, f"It differs by up to {off:.2g} from ({a:g} + {a_of_g:g} g)*x + ({b:g} + {b_of_g:g} g)*F(x).")


# Laws of a branch


def the_branchs_kind_is_unique(part: BranchKind) -> None:
    """No other branch has its `kind`."""
    _its_kind_is_unique(part, BRANCHES)


def its_chain_has_the_right_output_shape(part: BranchKind) -> None:
    """Its layers accept any number of channels, return the stage's channels, and shrink the map by the stride."""
    for into, stride in product((16, 24), (1, 2)):
        chain = part.chain(into, 16, stride, Fraction(1))
        channels, size = layers.out_channels(chain, into), layers.out_size(chain, (8, 8))
        wanted = (16, (8 // stride, 8 // stride))
        expect(
            (channels, size) == wanted,
            f"From {into} channels of 8x8, with stride {stride}, it returns {channels} channels of "
            f"{size[0]}x{size[1]}; expected 16 channels of {8 // stride}x{8 // stride}.",
        )


def it_grows_with_the_network(part: BranchKind) -> None:
    """Widened by a factor of 1 the branch is the same; widened by 2 it has more than twice the weights."""

    def weights(branch: BranchKind, channels: int) -> int:
        chain = branch.chain(channels, channels, 1, Fraction(1))
        return sum(shape.weights for shape in layers.convolutions(chain))

    expect(
        weights(part.widened(Fraction(1)), 16) == weights(part, 16),
        f"Widened by 1 it is {part.widened(Fraction(1))!r}.",
    )
    wide, narrow = weights(part.widened(Fraction(2)), 32), weights(part, 16)
    expect(wide > 2 * narrow, f"It has {narrow} weights, and {wide} when twice as wide.")


# Laws of an order


def it_uses_only_bn_and_relu(row: Row) -> None:
    """Each of its chains consists of `bn` and `relu`."""
    for field in fields(row.order):
        words = getattr(row.order, field.name).split()
        unknown = [word for word in words if word not in ("bn", "relu")]
        expect(not unknown, f"{field.name}: {' '.join(words)!r} contains {', '.join(unknown)}.")


def no_other_order_is_the_same(row: Row) -> None:
    """No other name has the same order: one network would have two keys."""
    same = [name for name, order in ORDERS.items() if order == row.order and name != row.name]
    expect(not same, f"It is the same as {', '.join(same)}.")


# Networks that contain a part


def network(
    *,
    shortcut: ShortcutKind | None = None,
    branch: BranchKind | None = None,
    order: str = "original",
    normalisation: NormalisationKind = BatchNormalisation(),  # noqa: B008 (frozen)
    transition: Transition = "B",
) -> Architecture:
    """Return a network of two units that keep the shape and one that changes it, for small images.

    It is made without validation, because fields accept only parts in the catalogue and these parts can be new.
    """
    unit = ResidualUnit.model_construct(
        shortcut=shortcut or IdentityShortcut(),
        order=order,
        normalisation=normalisation,
        activation="relu",
        weight_standardisation=False,
        blur=False,
        branch=branch or BasicBranch(),
        survival=1.0,
    )
    stages = [{"units": 2, "channels": 16}, {"units": 1, "channels": 32, "stride": 2}]
    plain = Architecture.of(
        {"input_shape": [1, 7, 9], "classes": 3, "stem": {"channels": 16}, "stages": stages, "transition": transition}
    )
    return Architecture.model_construct(
        **{**{name: getattr(plain, name) for name in type(plain).model_fields}, "unit": unit}
    )


def _with_shortcut(part: ShortcutKind) -> Iterator[Architecture]:
    yield network(shortcut=part)
    yield network(shortcut=part, order="full_preactivation", transition="A")
    if part.begins != "zero_bn":
        yield network(shortcut=part, normalisation=NoNormalisation(), transition="C")


def _with_branch(part: BranchKind) -> Iterator[Architecture]:
    yield network(branch=part)
    yield network(branch=part, order="full_preactivation", transition="A")
    yield network(branch=part, normalisation=NoNormalisation())


def _with_order(row: Row) -> Iterator[Architecture]:
    with _listed(row):
        for branch, transition in product((BasicBranch(), BottleneckBranch()), ("A", "B")):
            yield network(order=row.name, branch=branch, transition=cast(Transition, transition))
        yield network(order=row.name, normalisation=NoNormalisation())


@contextmanager
def _listed(row: Row) -> Iterator[None]:
    """Put the order into the catalogue inside this context."""
    before = dict(ORDERS)
    ORDERS[row.name] = row.order
    try:
        yield
    finally:
        ORDERS.clear()
        ORDERS.update(before)
        applied.cache_clear()
        canonical.cache_clear()


def _carried(part: ShortcutKind) -> Carry:
    """Return how x reaches the sum in a unit that keeps the shape."""
    return "keep" if part.carry == "transition" else part.carry


def _in_networks(networks: Callable[[Part], Iterator[Architecture]]) -> Iterator[Callable[[Part], None]]:
    """Yield the laws of networks as laws of a part. Exporting is slow and is checked for the first network only."""
    for law in NETWORK_LAWS.values():

        def holds(part: Part, law: Callable[[Architecture], None] = law) -> None:
            for net in networks(part):
                law(net)
                if law is exported_networks_compute_the_same:
                    break

        holds.__name__, holds.__doc__ = law.__name__, law.__doc__
        yield holds


SHORTCUT_LAWS: Laws[ShortcutKind] = table(
    written_and_read_back_it_is_equal,
    the_shortcuts_kind_is_unique,
    its_canonical_form_is_final,
    its_canonical_form_computes_the_same,
    initial_values_are_those_declared,
    its_formula_is_linear_if_it_says_so,
    *_in_networks(_with_shortcut),
)

BRANCH_LAWS: Laws[BranchKind] = table(
    written_and_read_back_it_is_equal,
    the_branchs_kind_is_unique,
    its_chain_has_the_right_output_shape,
    it_grows_with_the_network,
    *_in_networks(_with_branch),
)

ORDER_LAWS: Laws[Row] = table(it_uses_only_bn_and_relu, no_other_order_is_the_same, *_in_networks(_with_order))
