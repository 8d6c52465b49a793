"""The weights of a network under the names that timm and torchvision give to the same network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from resnet_space import Architecture, preset
from resnet_space.attention_layers import SqueezeExcitation
from resnet_space.errors import InputError, unknown
from resnet_space.modules import Unit

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def _bottleneck(**fields: Any) -> dict[str, Any]:
    return {"kind": "bottleneck", **fields}


COMMON: Mapping[str, Architecture] = MappingProxyType(
    {name: preset(name) for name in (*RESNETS, "resnext50_32x4d", "resnext101_64x4d")}
    | {
        "resnext101_32x8d": preset("resnet101", branch=_bottleneck(width=256, cardinality=32)),
        "wide_resnet50_2": preset("resnet50", branch=_bottleneck(width=128)),
        "wide_resnet101_2": preset("resnet101", branch=_bottleneck(width=128)),
    }
)
"""Networks that timm and torchvision have under the same name, for any number of classes and any size of images."""

LIBRARIES: Mapping[str, Mapping[str, Architecture]] = MappingProxyType(
    {
        "timm": {
            **COMMON,
            **{name: preset(name) for name in ("resnet200", "resnext101_32x4d")},
            "seresnet50": preset("se_resnet50"),
        },
        "torchvision": COMMON,
    }
)
"""The networks of each library that this package can describe, by the library's name for them."""


def named_as_in(library: str, net: Architecture, model: nn.Module) -> tuple[str, dict[str, Tensor]]:
    """Return the library's name for the network, and the network's weights under the library's names.

    `timm.create_model(name, num_classes=K, in_chans=C)` and `torchvision.models.get_model(name, num_classes=K)` load
    them with `strict=True`, and compute the same.

    Raises:
        InputError: the library is not known, or does not have the network.
    """
    if library not in LIBRARIES:
        raise unknown("library", library, LIBRARIES, path="--state-dict")
    shape = {"input_shape": net.input_shape, "classes": net.classes}
    found = [name for name, row in LIBRARIES[library].items() if _key_for(row, shape) == net.key]
    if not found:
        raise InputError(
            f"--state-dict {library}: {library} does not have network {net.key}, or has it under a name that is not "
            f"known here; known: {', '.join(LIBRARIES[library])}, with any number of classes and any size of images"
        )
    if library == "torchvision" and net.input_shape[0] != 3:
        raise InputError(
            f"--state-dict torchvision: its networks take 3 channels, and this one takes {net.input_shape[0]}; "
            "timm's take any number"
        )
    state = model.state_dict()
    names = dict(_names(net, model))
    return found[0], {
        f"{names[module]}.{field}": state[f"{module}.{field}"]
        for module, _, field in (name.rpartition(".") for name in state)
    }


def _key_for(row: Architecture, shape: Mapping[str, Any]) -> str:
    try:
        return row.replace(**shape).key
    except InputError:
        # Its strides would shrink these images to nothing.
        return ""


def _names(net: Architecture, model: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the names of each module with weights: here, and in the libraries."""
    stem, units, head = model.stem, model.units, model.head
    assert isinstance(stem, nn.Sequential)
    assert isinstance(units, nn.Sequential)
    assert isinstance(head, nn.Sequential)
    yield from _numbered("stem", stem, "")
    yield from ((f"head.{place}", "fc") for place, part in head.named_children() if isinstance(part, nn.Linear))
    places = [(stage, number) for stage, each in enumerate(net.stage_list, 1) for number in range(each.units)]
    for index, (unit, (stage, number)) in enumerate(zip(units, places, strict=True)):
        assert isinstance(unit, Unit)
        theirs = f"layer{stage}.{number}"
        yield from _numbered(f"units.{index}.F", unit.F, f"{theirs}.")
        carried = unit.h.carry.named_children()
        yield from ((f"units.{index}.h.carry.{place}", f"{theirs}.downsample.{place}") for place, _ in carried)


def _numbered(ours: str, chain: nn.Sequential, theirs: str) -> Iterator[tuple[str, str]]:
    """Yield the names of a chain's layers: conv1, bn1, conv2, and so on; fc1 and fc2 of squeeze-and-excitation."""
    convolutions = normalisations = 0
    for place, part in chain.named_children():
        if isinstance(part, nn.Conv2d):
            convolutions += 1
            yield f"{ours}.{place}", f"{theirs}conv{convolutions}"
        elif isinstance(part, nn.BatchNorm2d):
            normalisations += 1
            yield f"{ours}.{place}", f"{theirs}bn{normalisations}"
        elif isinstance(part, SqueezeExcitation):
            inside = [name for name, each in part.named_modules() if isinstance(each, nn.Conv2d)]
            yield from ((f"{ours}.{place}.{name}", f"{theirs}se.fc{at}") for at, name in enumerate(inside, 1))
