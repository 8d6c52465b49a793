"""Networks that are not residual, to compare costs with: torchvision's, counted by our counter.

They are no `Architecture` and have neither key nor depth; they are built to be counted, and trained nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from resnet_space.errors import InputError, unknown

if TYPE_CHECKING:
    from torch import nn

    from resnet_space.counter import Complexity


@dataclass(frozen=True)
class Reference:
    """A network by the name of torchvision's builder, and the image that it is counted on."""

    builder: str
    source: str
    input_shape: tuple[int, int, int] = (3, 224, 224)
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the builder is called with."""
    text: str = ""
    """How it differs from the paper's."""


WITHOUT_HEADS = {"aux_logits": False, "init_weights": False}
"""Auxiliary classifiers help to train, and do not run afterwards."""

IN_PLACE = ("relu",)
"""What torchvision does in place in each of these networks, which fvcore passes over without a word."""

REFERENCES: dict[str, Reference] = {
    "alexnet": Reference("alexnet", "1404.5997", text="one column; the paper of 2012 has two, on two GPUs"),
    "vgg16": Reference("vgg16", "1409.1556 table 1, D"),
    "vgg19": Reference("vgg19", "1409.1556 table 1, E"),
    "googlenet": Reference(
        "googlenet",
        "1409.4842 table 1",
        options=WITHOUT_HEADS,
        text="with batch normalisation, and 3x3 in place of 5x5; without auxiliary classifiers",
    ),
    "inception_v3": Reference(
        "inception_v3",
        "1512.00567 table 1",
        input_shape=(3, 299, 299),
        options=WITHOUT_HEADS,
        text="without auxiliary classifier",
    ),
}


def build(name: str) -> nn.Module:
    """The network, with weights of no value: a count needs none, and drawing them would take longer than counting.

    Raises:
        InputError: unknown name.
    """
    import torch
    from torchvision.models import get_model

    if name not in REFERENCES:
        raise unknown("reference", name, REFERENCES)
    reference = REFERENCES[name]
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        net: nn.Module = get_model(reference.builder, weights=None, **reference.options)
    return net.to_empty(device="cpu")


def counted(name: str) -> Complexity:
    """Parameters, MACs and activations, as `resnet_space.complexity` has them.

    Raises:
        InputError: unknown name.
    """
    from resnet_space.counts import table

    if name not in REFERENCES:
        raise unknown("reference", name, REFERENCES)
    return table()[name]


def count_anew(name: str) -> Complexity:
    """The same, counted now. VGG takes a second and 600 MB.

    Raises:
        InputError: unknown name.
    """
    from resnet_space.counter import count

    counts = count(build(name), REFERENCES[name].input_shape)
    return replace(counts, uncounted=tuple(sorted({*counts.uncounted, *IN_PLACE})))


def facts(name: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What `show --json` prints of a reference.

    Raises:
        InputError: unknown name, or any change.
    """
    if changes:
        raise InputError(f"--set {next(iter(changes))}: {name} is torchvision's as it stands; only our own nets change")
    counts, reference = counted(name), REFERENCES[name]
    return {
        "reference": name,
        "source": reference.source,
        "remark": reference.text,
        "input_shape": list(reference.input_shape),
        "params": counts.params,
        "macs": counts.macs,
        "activations": counts.activations,
        "elementwise": counts.elementwise,
        "by_operator": counts.by_operator,
        "uncounted": list(counts.uncounted),
    }


def lines(told: Mapping[str, Any]) -> list[str]:
    """The same for people, a line each."""
    shape = "x".join(map(str, told["input_shape"]))
    remark = f", {told['remark']}" if told["remark"] else ""
    return [
        f"{told['reference']}: torchvision's{remark} ({told['source']})",
        f"{told['params']:,} parameters, {told['macs']:,} MACs, {told['activations']:,} activations on {shape}",
        f"not counted: {', '.join(told['uncounted'])}",
    ]
