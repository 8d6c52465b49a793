"""The ImageNet presets equal torchvision's networks, in their counts and their outputs."""

import dataclasses

import pytest
import torch
import torchvision.models

from resnet_space import build, complexity, preset

SAME = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_64x4d"]
SAME += ["densenet121", "densenet169", "densenet201"]
DEEP = {"resnet101", "resnet152", "resnext101_64x4d", "densenet169", "densenet201"}
RUN = [pytest.param(name, marks=pytest.mark.slow) if name in DEEP else name for name in SAME if name != "resnet152"]


@pytest.mark.parametrize("name", SAME)
def test_parameters_are_those_of_torchvisions_published_weights(name):
    meta = torchvision.models.get_model_weights(name).DEFAULT.meta
    assert complexity(preset(name)).params == meta["num_params"]


@pytest.mark.parametrize("name", SAME)
def test_macs_of_convolutions_and_classifier_are_those_torchvision_publishes(name):
    meta = torchvision.models.get_model_weights(name).DEFAULT.meta
    operators = complexity(preset(name)).by_operator
    assert round((operators["conv"] + operators["linear"]) / 1e9, 3) == meta["_ops"]


@pytest.mark.parametrize("name", RUN)
def test_outputs_are_torchvisions_with_its_weights(name, randomised):
    torch.manual_seed(0)
    theirs = randomised(torchvision.models.get_model(name, weights=None)).eval()
    ours = build(preset(name)).eval()
    weights, names = theirs.state_dict(), list(ours.state_dict())
    assert [v.shape for v in weights.values()] == [v.shape for v in ours.state_dict().values()]
    ours.load_state_dict(dict(zip(names, weights.values(), strict=True)))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, got = theirs(x), ours(x)
    assert expected.std() > 0.01
    assert (got - expected).abs().max() < 1e-4


def test_width_of_a_bottleneck_is_torchvisions_width_per_group():
    net = preset("resnet50", branch={"kind": "bottleneck", "width": 128})
    meta = torchvision.models.get_model_weights("wide_resnet50_2").DEFAULT.meta
    assert complexity(net).params == meta["num_params"]


def test_complexity_is_a_frozen_value():
    counted = complexity(preset("resnet20"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        counted.params = 0
