"""The positions of batch normalisation (BN) and ReLU in a residual unit: a table.

A branch is a chain of convolutions `first conv (between conv)* last`; `after` is the f of `x' = f(y)`. To add an
order, add a row here. Source: He et al. 2016, 1603.05027, figure 4 and table 2; for the first and last layers of a
pre-activation network: its section 4 and appendix.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Literal

from resnet_space.catalogues import NameOf

Normalisation = Literal["batch", "none"]
"""What `bn` in an order means: batch normalisation, or nothing; with nothing, every convolution has a bias."""


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
}

OrderName = Annotated[str, NameOf(ORDERS)]


@cache
def applied(name: OrderName, normalisation: Normalisation) -> Order:
    """Return the order for a network with this normalisation: without `bn` if it is `none`."""
    order = ORDERS[name]
    if normalisation == "batch":
        return order
    chains = {field.name: getattr(order, field.name).replace("bn", "").split() for field in fields(order)}
    return Order(**{name: " ".join(chain) for name, chain in chains.items()})


@cache
def canonical(name: OrderName, normalisation: Normalisation) -> OrderName:
    """Return the first order that is the same with this normalisation: without BN, some orders are equal."""
    return next(other for other in ORDERS if applied(other, normalisation) == applied(name, normalisation))
