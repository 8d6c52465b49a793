"""Where batch normalisation (BN) and ReLU stand in a residual unit: a table.

A branch is a chain of convolutions `first conv (between conv)* last`; `after` is the f of `x' = f(y)`. A new order
is a row here. Source: He et al. 2016, 1603.05027, figure 4 and table 2; the ends of a pre-activation net: its
section 4 and appendix.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Literal

from resnet_space.catalogues import NameOf

Normalisation = Literal["batch", "none"]
"""What `bn` in an order stands for: batch normalisation, or nothing, and then every convolution has a bias."""


@dataclass(frozen=True)
class Order:
    """Each field is a chain of `bn` and `relu`, applied from left to right."""

    first: str = ""
    """Before the branch's first convolution. Where it is not empty the unit is *pre-activated*: at a change of shape,
    and in the first unit of the net, `first` is shared by branch and shortcut."""
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
    """Before the head's pooling: what a last unit without `after` leaves undone."""


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
    """The order of a net with this normalisation: without `bn` where there is none."""
    order = ORDERS[name]
    if normalisation == "batch":
        return order
    chains = {field.name: getattr(order, field.name).replace("bn", "").split() for field in fields(order)}
    return Order(**{name: " ".join(chain) for name, chain in chains.items()})


@cache
def canonical(name: OrderName, normalisation: Normalisation) -> OrderName:
    """The first order that is the same with this normalisation: without BN, some differ in nothing."""
    return next(other for other in ORDERS if applied(other, normalisation) == applied(name, normalisation))
