"""Random architectures for hypothesis, from `st.from_type(Architecture)`, and weights that differ from the defaults."""

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from hypothesis import HealthCheck, reject, settings
from hypothesis import strategies as st
from torch import nn

from resnet_space.activations import ACTIVATIONS
from resnet_space.architecture import Architecture
from resnet_space.attentions import BlockAttention, EfficientAttention, SqueezeExcitation
from resnet_space.branches import (
    BasicBranch,
    BottleneckBranch,
    DenseBottleneckBranch,
    InceptionBranch,
    WrittenBranch,
)
from resnet_space.depthwise_branches import InvertedBottleneckBranch
from resnet_space.heads import ConvolutionHead, LinearHead, NormalisedHead
from resnet_space.orders import ORDERS
from resnet_space.shortcuts import SHORTCUTS
from resnet_space.stems import Stem
from resnet_space.units import ResidualUnit, Stage, Transition, UnitOverride

torch.set_num_threads(1)

# The same examples on every machine, and no deadline: the first build imports torch.
settings.register_profile(
    "repeatable",
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("repeatable")


def shortcuts() -> st.SearchStrategy:
    """Every kind of the catalogue, with values for each of its numbers."""
    numbers = {"compression": st.sampled_from([0.25, 0.5, 1.0])}
    others = st.sampled_from([0.0, 0.25, 0.5])
    return st.one_of(
        st.builds(
            cls,
            **{
                name: numbers.get(name, others) for name, field in cls.model_fields.items() if field.annotation is float
            },
        )
        for cls in SHORTCUTS.values()
    )


def branches() -> st.SearchStrategy:
    bottlenecks = st.builds(
        BottleneckBranch,
        width=st.sampled_from([None, 4, 12]),
        cardinality=st.sampled_from([1, 2, 4]),
        stride_on=st.sampled_from(["3x3", "1x1"]),
    )
    dense = st.builds(DenseBottleneckBranch, width=st.sampled_from([None, 4, 12]))
    inception = st.builds(InceptionBranch, squeeze=st.sampled_from([None, 2]))
    written = st.builds(
        WrittenBranch, layers=st.sampled_from(["3x3/s c", "[1x1/s c/2 | avg 3x3/s, 1x1 c/2], 3x3 c linear"])
    )
    basic = st.builds(
        BasicBranch,
        kernel=st.sampled_from([1, 3, 5]),
        dilation=st.integers(1, 2),
        attention=st.none() | attentions(),
        dropout=st.sampled_from([0.0, 0.3]),
        activation_at=st.sampled_from([None, (1,), (1, 2), ()]),
        normalisation_at=st.sampled_from([None, (2,)]),
    )
    inverted = st.builds(InvertedBottleneckBranch, expansion=st.sampled_from([1.0, 2.0]), attention=attentions())
    others = st.sampled_from(["basic", "single", "x_block", {"kind": "convnext", "kernel": 3}])
    return st.one_of(others, basic, inverted, bottlenecks, dense, inception, written)


def attentions() -> st.SearchStrategy:
    return st.one_of(
        st.builds(SqueezeExcitation, reduction=st.just(2), place=st.sampled_from(["end", "middle"])),
        st.builds(EfficientAttention),
        st.builds(BlockAttention, reduction=st.just(2), kernel=st.just(3)),
    )


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Small nets that can be built: every shortcut, order, branch and transition, and overrides by stage."""
    unit = st.fixed_dictionaries(
        {
            "shortcut": shortcuts(),
            "order": st.sampled_from([*ORDERS]),
            "normalisation": st.sampled_from(["batch", "none", {"kind": "group", "groups": 1}, "layer", "instance"]),
            "activation": st.sampled_from([*ACTIVATIONS]),
            "weight_standardisation": st.booleans(),
            "branch": branches(),
            "blur": st.booleans(),
        }
    )
    overrides = st.fixed_dictionaries(
        {},
        optional={"shortcut": shortcuts(), "order": st.sampled_from([*ORDERS]), "branch": branches()},
    ).map(UnitOverride.of)
    count = draw(st.integers(1, 3))
    # Option A pads, so channels must grow. A quarter of them, and the ratio to the first stage, must be whole numbers.
    factors = sorted(draw(st.lists(st.integers(1, 3), min_size=count - 1, max_size=count - 1)))
    base = 16
    fields = {
        "input_shape": draw(st.tuples(st.integers(1, 3), st.integers(9, 13), st.integers(9, 13))),
        "classes": draw(st.integers(1, 5)),
        "stem": Stem(
            kernel=draw(st.sampled_from([1, 3, 7])),
            channels=draw(st.sampled_from([8, 16])),
            stride=1,
            max_pool=draw(st.booleans()),
        ),
        "stages": tuple(
            Stage(
                units=draw(st.integers(1, 2)),
                channels=base * factor,
                stride=draw(st.integers(1, 2)),
                unit=draw(st.none() | overrides),
            )
            for factor in [1, *factors]
        ),
        "unit": ResidualUnit.of(draw(unit)),
        "transition": draw(st.sampled_from(get_args(Transition))),
        "head": draw(st.sampled_from([LinearHead(), ConvolutionHead(channels=8), NormalisedHead()])),
    }
    try:
        return Architecture(**fields)
    except ValueError:
        # Some combinations cannot be built, such as zero_init with a branch without BN.
        reject()


st.register_type_strategy(Architecture, architectures())


@pytest.fixture(scope="session")
def randomised() -> Callable[[nn.Module], nn.Module]:
    """Set normalisations to statistics and weights as after training, so that none is the identity, and scales too."""

    def change(model: nn.Module) -> nn.Module:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
                nn.init.uniform_(module.weight, 0.3, 0.7)
                nn.init.normal_(module.bias, std=0.1)
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        for name, weight in model.named_parameters():
            if name.endswith("layer_scale"):
                nn.init.uniform_(weight, 0.3, 0.7)
        return model

    return change
