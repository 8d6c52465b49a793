"""Weights under the names of timm and torchvision load into their networks, which then compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from resnet_space import Architecture, InputError, build, preset
from search.training.export import export
from search.training.formats.library_names import LIBRARIES, named_as_in

SMALL = ("resnet18", "resnet34", "resnet50", "resnext50_32x4d", "seresnet50")
EVERY = [
    pytest.param(library, name, marks=() if name in SMALL else pytest.mark.long)
    for library, rows in LIBRARIES.items()
    for name in rows
]


def theirs(library: str, name: str, classes: int, channels: int = 3) -> nn.Module:
    if library == "timm":
        made: nn.Module = timm.create_model(name, num_classes=classes, in_chans=channels)
        return made
    model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes)
    return model


def loaded(library: str, net: Architecture, model: nn.Module) -> nn.Module:
    name, state = named_as_in(library, net, model)
    other = theirs(library, name, net.classes, net.input_shape[0])
    other.load_state_dict(state, strict=True)
    return other.eval()


def trained(net: Architecture) -> nn.Module:
    """A network whose normalisations are not the identity. Noise on its weights would grow with depth."""
    model, random = build(net, seed=0), torch.Generator().manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.weight.data.uniform_(0.3, 0.7, generator=random)
            part.bias.data.normal_(std=0.1, generator=random)
            part.running_mean.normal_(std=0.1, generator=random)
            part.running_var.uniform_(0.5, 1.5, generator=random)
    return model.eval()


@torch.no_grad()
def compare(library: str, net: Architecture) -> None:
    model = trained(net)
    x = torch.randn(2, *net.input_shape, generator=torch.Generator().manual_seed(2))
    wanted, found = model(x), loaded(library, net, model)(x)
    assert wanted.std() > 0
    assert ((found - wanted).abs().max() / wanted.abs().max()) < 1e-5


@pytest.mark.parametrize(("library", "name"), EVERY)
def test_the_librarys_network_loads_the_weights_strictly_and_computes_the_same(library: str, name: str) -> None:
    compare(library, LIBRARIES[library][name].replace(input_shape=(3, 64, 64), classes=7))


def test_timms_networks_take_any_number_of_channels() -> None:
    compare("timm", preset("resnet18", input_shape=(1, 48, 32), classes=3))


@pytest.mark.parametrize(
    ("library", "net", "message"),
    [
        ("timm", preset("resnet20"), r"^--state-dict timm: timm does not have network \w+, .*; known: resnet18, "),
        ("timm", preset("resnet50", order="full_preactivation"), "does not have network"),
        ("torchvision", preset("resnet200"), "torchvision does not have network"),
        ("torchvision", preset("resnet18", input_shape=(1, 64, 64)), "take 3 channels, and this one takes 1"),
        (
            "tim",
            preset("resnet18"),
            r"^--state-dict: unknown library 'tim'; did you mean 'timm'\? allowed: timm, torch",
        ),
    ],
)
def test_a_network_that_the_library_does_not_have_is_refused(library: str, net: Architecture, message: str) -> None:
    with pytest.raises(InputError, match=message):
        named_as_in(library, net, nn.Module())


def test_the_file_says_which_network_of_the_library_it_is_of(tmp_path: Path) -> None:
    net = preset("resnet18", input_shape=(3, 32, 32), classes=4)
    model = trained(net)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    options: dict[str, Any] = {"weights": tmp_path / "weights.safetensors", "library": "timm"}
    assert export(net, tmp_path / "net.safetensors", **options) == [tmp_path / "net.safetensors"]
    with safe_open(tmp_path / "net.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert (metadata["library"], metadata["model"]) == ("timm", "resnet18")
    theirs("timm", metadata["model"], 4).load_state_dict(load_file(tmp_path / "net.safetensors"))
    with pytest.raises(InputError, match=r"net\.onnx: --state-dict timm: the names of weights .* \.safetensors only"):
        export(net, tmp_path / "net.onnx", **options)
