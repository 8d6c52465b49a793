"""Attention, blur pooling and dropout on the branch, compared with timm's modules and with the papers' formulas."""

import math

import pytest
import torch
from laws import cases
from timm.layers import BlurPool2d, EcaModule, SEModule
from timm.layers.cbam import CbamModule
from torch import nn

from resnet_space import Architecture, build
from resnet_space.attention_layers import ATTENTIONS, BlockAttention, EfficientAttention, SqueezeExcitation
from resnet_space.attentions import ATTENTIONS as KINDS
from resnet_space.chain_text import parse_chain
from resnet_space.chains import BlurPool, Dropout
from resnet_space.layers import BlockAttentionLayer, EfficientLayer, SqueezeLayer
from resnet_space.testing import NETWORK_LAWS

KINDS_OF_ATTENTION = {
    **{kind: {"kind": kind} | ({} if kind == "eca" else {"reduction": 2}) for kind in KINDS},
    "small cbam in the middle": {"kind": "cbam", "reduction": 4, "kernel": 3, "place": "middle"},
    "of the input": {"kind": "squeeze_excitation", "reduction": 4, "share_of": "input", "activation": "silu"},
}


def small(branch, **unit):
    return Architecture.of(
        {
            "input_shape": [1, 8, 8],
            "classes": 3,
            "stem": {"channels": 8},
            "stages": [{"units": 2, "channels": 8}, {"units": 1, "channels": 16, "stride": 2}],
            "unit": {"branch": {"kind": "basic", **branch}, **unit},
            "transition": "B",
        }
    )


def same_weights(theirs, ours):
    ours.load_state_dict(
        {
            name: value.reshape(own.shape)
            for (name, own), value in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
        }
    )


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (SEModule(16, rd_channels=4), SqueezeExcitation(SqueezeLayer(16, 4))),
        (SEModule(16, rd_channels=4, act_layer=nn.SiLU), SqueezeExcitation(SqueezeLayer(16, 4, "silu"))),
        (EcaModule(kernel_size=5), EfficientAttention(EfficientLayer(16, 5))),
    ],
    ids=["squeeze-and-excitation", "with SiLU", "ECA"],
)
def test_an_attention_computes_what_timms_does(theirs, ours):
    same_weights(theirs, ours)
    x = torch.randn(3, 16, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_cbam_computes_equations_2_and_3():
    theirs, ours = CbamModule(16, rd_channels=4, spatial_kernel_size=3), BlockAttention(BlockAttentionLayer(16, 4, 3))
    channel, spatial = theirs.channel, theirs.spatial
    spatial.conv.bn = nn.Identity()  # timm normalises the map of pixels, which the paper's equation does not
    ours.excitation[1].weight.data = channel.fc1.weight.data
    ours.excitation[3].weight.data = channel.fc2.weight.data
    ours.places[1].weight.data = spatial.conv.conv.weight.data
    x = torch.randn(3, 16, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("channels", [8, 16, 64, 100, 256, 2048])
def test_ecas_kernel_is_the_papers_function_of_the_channels(channels):
    layer = KINDS["eca"]().layer(channels, channels)
    assert layer.kernel == EcaModule(channels).conv.kernel_size[0]
    assert layer.kernel % 2
    assert abs(layer.kernel - (math.log2(channels) + 1) / 2) <= 2


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [6, 7])
def test_blur_pooling_computes_what_timms_does(side, stride):
    x = torch.randn(2, 5, side, side + 1)
    torch.testing.assert_close(BlurPool(stride)(x), BlurPool2d(5, filt_size=3, stride=stride)(x))


@pytest.mark.parametrize(("kind", "law"), cases(KINDS_OF_ATTENTION, exported="cbam"))
def test_a_network_with_attention_satisfies_the_law(kind, law):
    NETWORK_LAWS[law](small({"attention": KINDS_OF_ATTENTION[kind]}))


@pytest.mark.parametrize(("place", "at"), [("end", 5), ("middle", 3)])
def test_attention_is_at_the_end_of_the_branch_or_before_its_last_convolution(place, at):
    unit = build(small({"attention": {"kind": "eca", "place": place}})).units[1]
    assert [index for index, part in enumerate(unit.F) if isinstance(part, ATTENTIONS)] == [at]


def test_the_hidden_width_is_that_of_the_map_or_of_the_branchs_input():
    for of, hidden in (("map", 8), ("input", 4)):
        net = small({"attention": {"kind": "squeeze_excitation", "reduction": 2, "share_of": of}})
        assert net.blueprint.units[2].chain[-1].hidden == hidden


def test_every_attention_begins_as_a_factor_of_about_a_half():
    # A sigmoid of small numbers: the branch is not switched off at first.
    for kind in KINDS_OF_ATTENTION.values():
        unit = build(small({"attention": kind}), seed=0).units[1]
        (attention,) = [part for part in unit.F if isinstance(part, ATTENTIONS)]
        x = torch.randn(2, 8, 6, 6)
        factor = (attention(x) / x).median()
        assert 0.1 < factor < 0.95


def test_dropout_stands_between_the_last_two_convolutions():
    unit = build(small({"dropout": 0.3}, order="full_preactivation")).units[1]
    names = [type(part).__name__ for part in unit.F]
    assert names == ["BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "Dropout", "Conv2d"]
    assert [part.p for part in unit.F if isinstance(part, Dropout)] == [0.3]


def test_a_blurred_branch_has_no_stride_and_blurs_after_its_activation():
    unit = build(small({}, blur=True)).units[2]
    names = [type(part).__name__ for part in unit.F]
    assert names == ["Conv2d", "BatchNorm2d", "ReLU", "BlurPool", "Conv2d", "BatchNorm2d"]
    assert [type(part).__name__ for part in unit.h.carry] == ["BlurPool", "Conv2d", "BatchNorm2d"]
    assert not [part for part in unit.modules() if isinstance(part, nn.Conv2d) and part.stride != (1, 1)]


@pytest.mark.parametrize(("_", "law"), cases(["dropout"]))
def test_a_network_with_dropout_on_its_branches_satisfies_the_law(_, law):
    NETWORK_LAWS[law](small({"dropout": 0.3}))


@pytest.mark.parametrize(
    "text",
    [
        "3x3 dilated 2 8, se 4, 1x1 8",
        "3x3 8 in 8 groups biased without relu, 1x1 32 without bn, 1x1 8 linear",
        "zeros 1, max 3x3/2 valid, eca 3, cbam 2 5x5, dropout 0.3, blur 3x3/2, unshuffle 2",
    ],
)
def test_layers_are_read_back_from_their_text(text):
    chain = parse_chain(text, 8)
    assert ", ".join(map(str, chain)) == text
    assert parse_chain(", ".join(map(str, chain)), 8) == chain
