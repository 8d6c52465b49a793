"""Presets equal networks of timm, in their parameters and in their outputs with the same weights."""

import pytest
import timm
import torch
from oracles import difference

from resnet_space import build, complexity, preset

# Our name, timm's, and the side of the images.
SAME = [
    ("resnet50d", "resnet50d", 64),
    ("se_resnet50", "seresnet50", 64),
    ("ecaresnet50d", "ecaresnet50d", 64),
    ("resnetv2_50", "resnetv2_50", 64),
    ("resnetv2_50x1_bit", "resnetv2_50x1_bit", 64),
    pytest.param("inception_resnet_v2_released", "inception_resnet_v2", 96, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("ours", "theirs", "side"), SAME)
def test_outputs_and_parameters_are_timms_with_its_weights(ours, theirs, side, randomised):
    torch.manual_seed(0)
    other = randomised(timm.create_model(theirs, pretrained=False, num_classes=1000))
    assert complexity(preset(ours)).params == sum(weight.numel() for weight in other.parameters())
    assert difference(other, build(preset(ours)), side) < 1e-4
