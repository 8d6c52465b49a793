"""A built network gives its maps and its classifier under timm's names."""

import pytest
import torch
from torch import nn

from resnet_space import InputError, build, preset

NAMES = ["resnet20", "preresnet20", "densenet40_k12", "resnet18", "plain18"]


def made(name):
    net = preset(name, input_shape=(3, 32, 32))
    return net, build(net, seed=0).eval()


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_the_head_of_the_features_is_the_network(name):
    net, model = made(name)
    x = torch.randn(2, *net.input_shape)
    features = model.forward_features(x)
    assert torch.equal(model.forward_head(features), model(x))
    pooled = model.forward_head(features, pre_logits=True)
    assert pooled.shape == (2, model.num_features)
    assert torch.equal(model.get_classifier()(pooled), model(x))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_there_is_one_map_of_each_size_with_the_channels_and_the_reduction_that_it_says(name):
    net, model = made(name)
    maps = model.features_only()(torch.randn(2, *net.input_shape))
    assert [each.shape[1] for each in maps] == [info["num_chs"] for info in model.feature_info]
    assert [32 // each.shape[2] for each in maps] == [info["reduction"] for info in model.feature_info]
    assert len({each.shape[2] for each in maps}) == len(maps)


@torch.no_grad()
def test_some_maps_can_be_chosen():
    net, model = made("resnet20")
    x = torch.randn(2, *net.input_shape)
    every, some = model.features_only()(x), model.features_only([-1, 0])(x)
    assert [torch.equal(a, b) for a, b in zip(some, (every[2], every[0]), strict=True)] == [True, True]
    with pytest.raises(InputError, match="out_indices: there is no map 3; the maps are 0 to 2"):
        model.features_only([3])


def test_maps_share_the_networks_weights():
    _, model = made("resnet20")
    assert model.features_only().stem is model.stem


def test_a_new_classifier_has_other_classes_and_leaves_the_rest():
    net, model = made("resnet20")
    before = {name: value.clone() for name, value in model.state_dict().items() if not name.startswith("head")}
    model.reset_classifier(3)
    assert model.num_classes == 3
    assert isinstance(model.get_classifier(), nn.Linear)
    assert model(torch.randn(2, *net.input_shape)).shape == (2, 3)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    with pytest.raises(InputError, match="num_classes: must be at least 1, not 0"):
        model.reset_classifier(0)
