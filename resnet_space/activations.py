"""The activations that `relu` in an order can mean: a table. To add one, add a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from resnet_space.catalogues import NameOf


@dataclass(frozen=True)
class Activation:
    """An elementwise function of a map (N, C, H, W)."""

    formula: str
    source: str
    layer: str
    """The name of its class in `torch.nn`; empty for none."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of that class."""
    learned: bool = False
    """Whether it has one learned number per channel."""
    dies: bool = False
    """Whether there are inputs where output and gradient are 0, so that an output can be dead."""


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation("max(0, x)", "1512.03385 section 3.1", "ReLU", dies=True),
    "relu6": Activation("min(max(0, x), 6)", "1801.04381 section 6", "ReLU6", dies=True),
    "leaky_relu": Activation("x if x > 0, else 0.01 x", "1502.01852 section 2.1", "LeakyReLU"),
    "prelu": Activation(
        "x if x > 0, else a x; a is learned per channel, 0.25 at first", "1502.01852 section 2.1", "PReLU", learned=True
    ),
    "elu": Activation("x if x > 0, else exp(x) - 1", "1511.07289 eq. 15", "ELU"),
    "gelu": Activation("x P(Z < x), with Z normal", "1606.08415 section 2", "GELU"),
    "silu": Activation("x sigmoid(x)", "1702.03118 eq. 3; as swish 1710.05941", "SiLU"),
    "hardswish": Activation("x min(max(0, x + 3), 6) / 6", "1905.02244 section 5.2", "Hardswish", dies=True),
    "mish": Activation("x tanh(log(1 + exp(x)))", "1908.08681 section 2", "Mish"),
    "none": Activation("x", "", ""),
}

ActivationName = Annotated[str, NameOf(ACTIVATIONS)]
