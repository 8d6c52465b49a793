"""Networks that differ in their shortcuts compute and learn the same fused as alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from resnet_space import Architecture, build, preset
from resnet_space.chains import Dropout, dropout_mask
from resnet_space.fused import Unfusable, draw_from, fuse, parameter_origins, refusal, skeleton, tensor_pairs, unfuse
from resnet_space.fused_shortcuts import Mixed
from resnet_space.orders import ORDERS
from resnet_space.shortcuts import SHORTCUTS
from search.machine.processor import processor

TINY = preset("resnet20").assign({"width": 0.25, "stages.*.units": 1, "input_shape": [1, 8, 8]})
LINEAR = [name for name, kind in SHORTCUTS.items() if kind.fusing == "linear"]
SCALES: list[dict[str, Any]] = [
    {"kind": "constant_scaling", "shortcut_scale": 0.3, "branch_scale": 1},
    {"kind": "exclusive_gate", "gate_bias": -3},
    {"kind": "exclusive_gate", "gate_kernel": 3},
    {"kind": "dropout", "p": 0.2},
    {"kind": "skipinit", "scale": 0.4},
]
KINDS: list[dict[str, Any]] = [*({"kind": name} for name in LINEAR), *SCALES]
BRANCHES: list[dict[str, Any]] = [
    {},
    {"width": 2, "unit.branch": {"kind": "bottleneck", "width": 4, "cardinality": 2}},
    {"unit.branch": {"kind": "basic", "squeeze": 4}},
    {"unit.normalisation": "none"},
]


@pytest.fixture(autouse=True)
def _in_float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def stirred(net: Architecture, seed: int) -> nn.Module:
    """The network with all weights changed: an initial 0 would hide what follows it."""
    model, random = build(net, seed).to(memory_format=torch.channels_last), torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.data.add_(0.1 * torch.randn(weight.shape, generator=random))
    return model


def pictures(number: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(9)
    return [torch.randn(6, *TINY.input_shape, generator=random) for _ in range(number)]


def fusable(kinds: Sequence[dict[str, Any]], **changes: Any) -> list[Architecture]:
    """Networks of these shortcuts. In a plain net, a pre-activation order has its first BN and ReLU elsewhere, and zero
    initialisation needs BN."""
    nets = [
        TINY.assign(changes | {"unit.shortcut": kind})
        for kind in kinds
        if not (kind["kind"] == "zero_init" and "unit.normalisation" in changes)
    ]
    plain = [net.blueprint.units[0].carry == "nothing" for net in nets]
    if ORDERS[nets[0].unit.order].first and any(plain) and not all(plain):
        return [net for net, nothing in zip(nets, plain, strict=True) if not nothing]
    return nets


def check(nets: Sequence[Architecture]) -> None:
    """Check logits, gradients, statistics and random numbers of fused networks against those of each alone."""
    alone = [stirred(net, seed) for seed, net in enumerate(nets)]
    assert refusal(*alone) == ""
    together, xs, y = fuse(alone), pictures(len(nets)), torch.arange(6) % 10
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(nets))]
    draw_from(together, generators)
    logits = together(torch.cat(xs, 1)).chunk(len(nets), 1)
    sum((functional.cross_entropy(out, y) for out in logits), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    back = copy.deepcopy(alone)
    unfuse(tensor_pairs(together, back))
    gradients: list[dict[str, Tensor]] = [{} for _ in nets]
    for name, weight in together.named_parameters():
        assert weight.grad is not None
        origins = parameter_origins(together, len(nets))[name]
        for (number, own), part in zip(origins, weight.grad.chunk(len(origins)), strict=True):
            gradients[number][own] = part
    for number, (model, x, other) in enumerate(zip(alone, xs, back, strict=True)):
        torch.manual_seed(number)
        own = model(x)
        functional.cross_entropy(own, y).backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(logits[number], own, atol=1e-10, rtol=1e-10)
        assert torch.equal(generators[number].get_state(), torch.get_rng_state()), "exactly that many random numbers"
        assert gradients[number].keys() == dict(model.named_parameters()).keys()
        for name, weight in model.named_parameters():
            assert weight.grad is not None
            torch.testing.assert_close(
                gradients[number][name].reshape(weight.shape), weight.grad, atol=1e-10, rtol=1e-8, msg=name
            )
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], tensor, atol=1e-10, rtol=1e-10, msg=name)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=5),
    order=st.sampled_from([*ORDERS]),
    transition=st.sampled_from(["A", "B", "C"]),
    branch=st.sampled_from(BRANCHES),
)
def test_any_mixture_of_shortcuts_computes_and_learns_the_same_as_each_alone(
    kinds: list[dict[str, Any]], order: str, transition: str, branch: dict[str, Any]
) -> None:
    nets = fusable(kinds, **branch, **{"unit.order": order, "transition": transition})
    if len(nets) > 1:
        check(nets)


@pytest.mark.parametrize("pair", [*combinations(LINEAR, 2)], ids="-".join)
def test_every_pair_of_shortcuts_can_be_fused(pair: tuple[str, str]) -> None:
    check([TINY.assign({"unit.shortcut": kind}) for kind in (*pair, pair[0])])


def test_networks_whose_stages_differ_in_their_shortcuts_share_the_others() -> None:
    gated = TINY.assign({"stages.1.unit": {"shortcut": {"kind": "exclusive_gate"}}})
    check([TINY, gated, gated])
    made = fuse([stirred(TINY, 0), stirred(gated, 1)])
    assert {name for name, part in made.named_modules() if isinstance(part, Mixed)} == {
        "units.1.h.carry",
        "units.1.h.gate",
    }


def test_evaluation_of_mixed_networks_is_that_of_each_alone() -> None:
    alone = [stirred(TINY.assign({"unit.shortcut": kind}), seed).eval() for seed, kind in enumerate(KINDS)]
    xs = pictures(len(alone))
    for model, x, found in zip(alone, xs, fuse(alone)(torch.cat(xs, 1)).chunk(len(alone), 1), strict=True):
        torch.testing.assert_close(found, model(x), atol=1e-10, rtol=1e-10)


def test_fusing_and_unfusing_changes_no_bit() -> None:
    nets = [TINY.assign({"unit.shortcut": kind}) for kind in KINDS]
    alone = [stirred(net, seed) for seed, net in enumerate(nets)]
    back = [build(net).to(memory_format=torch.channels_last) for net in nets]
    unfuse(tensor_pairs(fuse(alone), back))
    for one, other in zip(alone, back, strict=True):
        assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
        assert [tensor.stride() for tensor in one.parameters()] == [tensor.stride() for tensor in other.parameters()]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"unit.branch": {"kind": "bottleneck"}}, "networks of different shapes"),
        ({"unit.order": "full_preactivation"}, "networks of different shapes"),
        ({"stages.*.units": 2}, "networks of different shapes"),
        ({"unit.survival": 0.5}, "networks of different shapes"),
        ({"unit.shortcut": "concatenation"}, "shortcuts that cannot be fused with others"),
    ],
    ids=str,
)
def test_networks_that_differ_in_more_than_linear_shortcuts_are_refused(changes: dict[str, Any], why: str) -> None:
    one, other = TINY.assign({"unit.shortcut": {"kind": "exclusive_gate"}}), TINY.assign(changes)
    models = [build(one), build(other)]
    assert why in refusal(*models)
    with pytest.raises(Unfusable, match=why):
        fuse(models)


@pytest.mark.parametrize("order", ORDERS)
def test_networks_with_one_skeleton_can_be_fused(order: str) -> None:
    models = [build(TINY.assign({"unit.shortcut": kind, "unit.order": order})) for kind in KINDS]
    found: dict[str, list[nn.Module]] = {}
    for model in models:
        found.setdefault(skeleton(model), []).append(model)
    assert [refusal(*alike) for alike in found.values()] == [""] * len(found)
    plain = order in ("relu_only_preactivation", "full_preactivation")
    assert len(found) == (3 if plain else 2), "gated ones, and all others; in pre-activation orders, plain nets too"


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_dropout_draws_the_masks_of_torch(p: float) -> None:
    x = torch.ones(3, 5, 7, 2).contiguous(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(1)
    found = dropout_mask(x, p, generator)
    assert found.unique().tolist() == pytest.approx([0, 1 / (1 - p)])
    torch.manual_seed(1)
    assert torch.equal(Dropout(p).train()(x), found)
    assert torch.equal(torch.get_rng_state(), generator.get_state())
    if "Intel" not in processor()["name"]:
        # There torch draws from MKL's generator.
        torch.manual_seed(1)
        assert torch.equal(nn.Dropout(p).train()(x), found)


def test_dropout_drops_its_share() -> None:
    mask = dropout_mask(torch.ones(100_000), 0.3, torch.Generator().manual_seed(0))
    assert float((mask == 0).double().mean()) == pytest.approx(0.3, abs=0.01)
