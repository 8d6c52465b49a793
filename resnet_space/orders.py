"""The positions of normalisation (BN) and activation (ReLU) in a residual unit: a table.

A branch is a chain of convolutions `first conv (between conv)* last`; `after` is the f of `x' = f(y)`. The words `bn`
and `relu` mean the unit's normalisation and activation, which are batch normalisation and ReLU by default. To add an
order, add a row here. Source: He et al. 2016, 1603.05027, figure 4 and table 2; for the first and last layers of a
pre-activation network: its section 4 and appendix.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated

from resnet_space.activations import ActivationName
from resnet_space.catalogues import NameOf
from resnet_space.normalisations import BatchNormalisation, NormalisationKind


@dataclass(frozen=True)
class Words:
    """What the words of an order mean in a unit, a stem or a head."""

    normalisation: NormalisationKind = BatchNormalisation()  # noqa: RUF009 (frozen)
    """`bn`."""
    activation: ActivationName = "relu"
    """`relu`."""
    standardised: bool = False
    """Whether the weights of the convolutions are standardised."""

    @property
    def biased(self) -> bool:
        """Whether every convolution has a bias, because nothing is normalised."""
        return not self.normalisation.normalises

    def meaningful(self, chain: str) -> str:
        """Return a chain of words without those that mean nothing here."""
        empty = {"bn": self.biased, "relu": self.activation == "none"}
        return " ".join(word for word in chain.split() if not empty.get(word))


@dataclass(frozen=True)
class Order:
    """Each field is a chain of `bn` and `relu`, applied from left to right."""

    first: str = ""
    """Before the branch's first convolution. If it is not empty, the unit is *pre-activated*: `first` is shared by
    branch and shortcut in the first unit of the network and in each unit that changes the shape."""
    between: str = "bn relu"
    """Between two convolutions of the branch."""
    last: str = ""
    """After the branch's last convolution, before the addition."""
    after: str = ""
    """After the addition: f."""
    projection: str = ""
    """After a 1x1 convolution on the shortcut."""
    stem: str = "bn relu"
    """After the stem's convolution."""
    tail: str = ""
    """Before the head's pooling, for orders without `after`."""


ORDERS: dict[str, Order] = {
    "original": Order(last="bn", after="relu", projection="bn"),
    "bn_after_addition": Order(after="bn relu"),
    "relu_before_addition": Order(last="bn relu", projection="bn"),
    "relu_only_preactivation": Order(first="relu", last="bn", projection="bn", stem="bn", tail="relu"),
    "full_preactivation": Order(first="bn relu", stem="", tail="bn relu"),
    # 1801.04381, section 3.2: nothing but a BN after the last convolution, and nothing after the addition.
    "linear_bottleneck": Order(last="bn", projection="bn"),
}

OrderName = Annotated[str, NameOf(ORDERS)]


@cache
def applied(name: OrderName, words: Words) -> Order:
    """Return the order without the words that mean nothing in these units."""
    order = ORDERS[name]
    return Order(**{field.name: words.meaningful(getattr(order, field.name)) for field in fields(order)})


@cache
def canonical(name: OrderName, words: Words) -> OrderName:
    """Return the first order that is the same with these words: without BN, some orders are equal."""
    return next(other for other in ORDERS if applied(other, words) == applied(name, words))
