"""The ImageNet presets equal torchvision's networks, in their counts and their outputs."""

import dataclasses

import pytest
import torch
import torchvision.models
from oracles import difference
from torchvision.models.regnet import BlockParams

from resnet_space import build, complexity, preset
from resnet_space.descendants import REGNETS
from resnet_space.stage_widths import QuantizedLinear

SAME = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_64x4d"]
SAME += ["densenet121", "densenet169", "densenet201", "mobilenet_v2", "efficientnet_b0"]
SAME += ["convnext_tiny", "convnext_small", "convnext_base", *REGNETS]
DEEP = {"resnet101", "resnext101_64x4d", "densenet169", "densenet201", "convnext_small", "regnet_y_1_6gf"}
LARGE = {"resnet152", "convnext_base", *(name for name in REGNETS if not name.endswith("mf") and name not in DEEP)}
RUN = [pytest.param(name, marks=pytest.mark.slow) if name in DEEP else name for name in SAME if name not in LARGE]


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
    theirs = randomised(torchvision.models.get_model(name, weights=None))
    assert difference(theirs, build(preset(name)), 64) < 1e-4


@pytest.mark.parametrize("name", REGNETS)
def test_stages_of_a_regnet_are_those_that_torchvision_makes_from_its_numbers(name):
    depth, w0, wa, wm, group_width = REGNETS[name]
    theirs = BlockParams.from_init_params(depth, w0, wa, wm, group_width)
    stages = QuantizedLinear(depth=depth, w0=w0, wa=wa, wm=wm, group_width=group_width).stages()
    assert [stage.channels for stage in stages] == theirs.widths
    assert [stage.units for stage in stages] == theirs.depths


def test_width_of_a_bottleneck_is_torchvisions_width_per_group():
    net = preset("resnet50", branch={"kind": "bottleneck", "width": 128})
    meta = torchvision.models.get_model_weights("wide_resnet50_2").DEFAULT.meta
    assert complexity(net).params == meta["num_params"]


def test_complexity_is_a_frozen_value():
    counted = complexity(preset("resnet20"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        counted.params = 0
