"""Networks of torchvision that are not residual, as references for costs, counted by `resnet_space.counter`.

They are not an `Architecture`, and have neither key nor depth. They are only counted, never trained.
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
    """A network, by the name of torchvision's builder, and the shape of the image that it is counted on."""

    builder: str
    source: str
    input_shape: tuple[int, int, int] = (3, 224, 224)
    options: Mapping[str, Any] = field(default_factory=dict)
    """The arguments of the builder."""
    text: str = ""
    """How it differs from the paper's network."""


WITHOUT_HEADS = {"aux_logits": False, "init_weights": False}
"""Auxiliary classifiers are used in training only."""

IN_PLACE = ("relu",)
"""Operators that torchvision runs in place in these networks; fvcore does not report them."""

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
    """Return the network with uninitialised weights: drawing weights would take longer than counting.

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


def reference_complexity(name: str) -> Complexity:
    """Return parameters, MACs and activations of a reference, as `resnet_space.complexity` defines them.

    Raises:
        InputError: unknown name.
    """
    from resnet_space.counts import stored_counts

    if name not in REFERENCES:
        raise unknown("reference", name, REFERENCES)
    return stored_counts()[name]


def count_now(name: str) -> Complexity:
    """Return the same numbers, counted now. VGG takes a second and 600 MB.

    Raises:
        InputError: unknown name.
    """
    from resnet_space.counter import count

    counts = count(build(name), REFERENCES[name].input_shape)
    return replace(counts, uncounted=tuple(sorted({*counts.uncounted, *IN_PLACE})))


def facts(name: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON that `show --json` prints for a reference.

    Raises:
        InputError: unknown name, or `changes` is not empty.
    """
    if changes:
        raise InputError(f"--set {next(iter(changes))}: {name} is a network of torchvision and cannot be changed")
    counts, reference = reference_complexity(name), REFERENCES[name]
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


def lines(record: Mapping[str, Any]) -> list[str]:
    """Return the same facts as lines of text."""
    shape = "x".join(map(str, record["input_shape"]))
    remark = f", {record['remark']}" if record["remark"] else ""
    return [
        f"{record['reference']}: torchvision's{remark} ({record['source']})",
        f"{record['params']:,} parameters, {record['macs']:,} MACs, {record['activations']:,} activations on {shape}",
        f"not counted: {', '.join(record['uncounted'])}",
    ]
