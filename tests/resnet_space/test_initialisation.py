"""Seeds pair networks: layers that two networks share start with equal weights."""

from __future__ import annotations

import pytest
import torch

from resnet_space import Architecture, build, preset
from resnet_space.modules import ResidualNet

SMALL = {"width": 0.25, "input_shape": [1, 8, 8]}
BASE = preset("resnet20").assign(SMALL)


def convolutions(model: ResidualNet, unit: int) -> list[torch.Tensor]:
    """The weights of a unit's branch, in order."""
    return [layer.weight for layer in model.units[unit].F.modules() if isinstance(layer, torch.nn.Conv2d)]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace(order="full_preactivation"),
        BASE.assign({"unit.shortcut": {"kind": "exclusive_gate", "gate_bias": -6}}),
        BASE.assign({"unit.shortcut": "conv1x1"}),
        BASE.assign({"unit.shortcut": "none"}),
        BASE.replace(transition="B"),
        preset("resnet56").assign(SMALL),
    ],
    ids=["order", "gate", "projection", "plain", "transition", "depth"],
)
def test_arms_of_one_seed_start_with_equal_weights_in_equal_layers(other: Architecture) -> None:
    mine, theirs = build(BASE, seed=3), build(other, seed=3)
    assert torch.equal(mine.stem[0].weight, theirs.stem[0].weight)
    assert torch.equal(mine.head[-1].weight, theirs.head[-1].weight)
    assert same(convolutions(mine, 0), convolutions(theirs, 0))
    assert same(convolutions(mine, 1), convolutions(theirs, 1))


def test_different_seeds_draw_different_weights_and_equal_seeds_equal_ones() -> None:
    a, b, again = (build(BASE, seed=seed).state_dict() for seed in (0, 1, 0))
    assert all(torch.equal(a[name], again[name]) for name in a)
    assert not torch.equal(a["units.0.F.0.weight"], b["units.0.F.0.weight"])


def test_layers_of_one_shape_at_one_position_differ() -> None:
    first, second = convolutions(build(BASE, seed=0), 0)
    assert first.shape == second.shape
    assert not torch.equal(first, second)


def test_a_seed_does_not_change_the_global_generator_after_building() -> None:
    torch.manual_seed(0)
    build(BASE)
    plain = torch.rand(1)
    torch.manual_seed(0)
    build(BASE, seed=5)
    assert torch.equal(plain, torch.rand(1))


def test_weights_have_the_standard_deviation_of_he_et_al() -> None:
    model = build(preset("resnet20"), seed=0)
    weight = model.units[-1].F[0].weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    bound = 64**-0.5
    linear = model.head[-1].weight
    assert linear.abs().max() <= bound
    assert linear.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_a_gate_keeps_its_initial_bias() -> None:
    model = build(BASE.assign({"unit.shortcut": {"kind": "exclusive_gate", "gate_bias": -6}}), seed=1)
    assert model.units[0].h.gate.conv.bias.eq(-6).all()
