"""Fused networks compute and learn the same as single ones. Networks without a fused form are refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from nets import FUSABLE
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from resnet_space import Architecture, build
from resnet_space.conv_layers import Standardised
from resnet_space.fused import Unfusable, draw_from, fuse, join, refusal, tensor_pairs, unfuse
from resnet_space.modules import Sum, Unit
from resnet_space.shortcuts import IdentityShortcut
from resnet_space.testing.networks import fused_networks_compute_the_same

SEEDS = range(3)

NETS = {
    **FUSABLE,
    "dense pre-activation": {
        "unit.shortcut": "concatenation",
        "unit.order": "full_preactivation",
        "stages.*.units": 2,
    },
    "three colours": {"input_shape": [3, 8, 8], "classes": 7},
}


@pytest.fixture(params=NETS)
def net(request: pytest.FixtureRequest, tiny_net: Architecture) -> Architecture:
    return tiny_net.assign(NETS[request.param])


def networks(net: Architecture) -> list[nn.Module]:
    """One network per seed, with different normalisations, as after training."""
    made: list[nn.Module] = []
    for seed in SEEDS:
        model = build(net, seed).to(memory_format=torch.channels_last)
        random = torch.Generator().manual_seed(seed)
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None
                assert part.running_var is not None
                for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                    tensor.data.uniform_(0.5, 1.5, generator=random)
        made.append(model)
    return made


def same_bits(one: nn.Module, other: nn.Module) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def pictures(net: Architecture) -> list[Tensor]:
    random = torch.Generator().manual_seed(9)
    return [torch.randn(16, *net.input_shape, generator=random) for _ in SEEDS]


def test_each_network_gives_its_own_logits(net: Architecture) -> None:
    fused_networks_compute_the_same(net)


def test_each_network_gets_the_gradient_of_its_own_loss_and_its_own_statistics(net: Architecture) -> None:
    alone, xs, y = networks(net), pictures(net), torch.arange(16) % 7
    together = fuse(copy.deepcopy(alone))
    logits = together(torch.cat(xs, 1)).chunk(len(SEEDS), dim=1)
    sum((functional.cross_entropy(out, y) for out in logits), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    for model, x in zip(alone, xs, strict=True):
        functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
    for name, parameter in together.named_parameters():
        assert parameter.grad is not None
        own = [model.get_parameter(name).grad for model in alone]
        assert all(grad is not None for grad in own)
        torch.testing.assert_close(parameter.grad, join(own), atol=1e-5, rtol=1e-3)
    back = copy.deepcopy(alone)
    unfuse(tensor_pairs(together, back))
    for one, other in zip(alone, back, strict=True):
        for (name, buffer), (_, found) in zip(one.named_buffers(), other.named_buffers(), strict=True):
            torch.testing.assert_close(found, buffer, atol=1e-5, rtol=1e-4, msg=name)


def test_networks_that_recompute_activations_compute_the_same_too(net: Architecture) -> None:
    alone = [build(net, seed, recompute=True).to(memory_format=torch.channels_last) for seed in SEEDS]
    xs = pictures(net)
    logits = fuse(alone)(torch.cat(xs, 1)).chunk(len(SEEDS), dim=1)
    for model, x, found in zip(alone, xs, logits, strict=True):
        torch.testing.assert_close(found, model(x), atol=1e-5, rtol=1e-4)


def test_fusing_and_unfusing_changes_no_bit(net: Architecture) -> None:
    alone = networks(net)
    back = [build(net).to(memory_format=torch.channels_last) for _ in SEEDS]
    unfuse(tensor_pairs(fuse(alone), back))
    for one, other in zip(alone, back, strict=True):
        assert same_bits(one, other)
        assert [tensor.stride() for tensor in one.parameters()] == [tensor.stride() for tensor in other.parameters()]


def test_fusing_draws_no_random_number_and_does_not_change_the_networks(tiny_net: Architecture) -> None:
    alone, before = networks(tiny_net), torch.get_rng_state()
    together, kept = fuse(alone), copy.deepcopy(alone[0])
    assert torch.equal(torch.get_rng_state(), before)
    for tensor in together.state_dict().values():
        tensor.zero_()
    assert same_bits(alone[0], kept)


class Layouts(TorchDispatchMode):
    """Counts kernels that get channels-first and channels-last images."""

    def __init__(self) -> None:
        super().__init__()
        self.both = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        images = [value for value in args if isinstance(value, Tensor) and value.dim() == 4]
        last = [value.is_contiguous(memory_format=torch.channels_last) for value in images]
        first = [value.is_contiguous() for value in images]
        self.both += (True, False) in zip(last, first, strict=True) and (False, True) in zip(last, first, strict=True)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("number", [1, len(SEEDS)], ids=["alone", "fused"])
def test_a_step_keeps_its_images_channels_last_throughout(number: int, net: Architecture) -> None:
    """Kernels that get both layouts take twice as long. torch chooses the layout of the gradient of a mean."""
    models, xs = networks(net)[:number], pictures(net)[:number]
    model = fuse(models) if number > 1 else models[0]
    with Layouts() as layouts:
        logits = model(torch.cat(xs, 1).contiguous(memory_format=torch.channels_last))
        functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long)).backward()  # type: ignore[no-untyped-call]
    means = sum(isinstance(part, nn.AdaptiveAvgPool2d) for part in model.modules())
    # Weights that are standardised have four dimensions too, and any layout: they are small.
    weights = sum(isinstance(part, Standardised) for part in model.modules())
    assert layouts.both <= means + weights


def test_a_layer_without_a_fused_form_is_refused_with_its_path(tiny_net: Architecture) -> None:
    net = tiny_net.replace(survival=0.5)
    assert refusal(build(net)) == "units.0.survival: Survival has no fused form"
    with pytest.raises(Unfusable, match="Survival has no fused form"):
        fuse([build(net), build(net)])


def test_dropout_draws_in_each_network_the_masks_that_it_draws_alone(tiny_net: Architecture) -> None:
    alone = networks(tiny_net.replace(shortcut={"kind": "dropout", "p": 0.25}))
    together, xs = fuse(alone), pictures(tiny_net)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    draw_from(together, generators)
    logits = together(torch.cat(xs, 1)).chunk(len(SEEDS), dim=1)
    for seed, model, x, found, generator in zip(SEEDS, alone, xs, logits, generators, strict=True):
        torch.manual_seed(seed)
        torch.testing.assert_close(found, model(x), atol=1e-5, rtol=1e-4)
        assert torch.equal(generator.get_state(), torch.get_rng_state()), "exactly that many numbers"


def test_dropout_is_refused_if_activations_are_recomputed(tiny_net: Architecture) -> None:
    assert "draw new masks" in refusal(build(tiny_net.replace(shortcut={"kind": "dropout", "p": 0.5}), recompute=True))


def test_what_can_be_fused_is_not_refused(net: Architecture) -> None:
    assert refusal(build(net)) == ""


def test_each_of_several_gates_starts_with_its_own_bias(tiny_net: Architecture) -> None:
    gates = [tiny_net.replace(shortcut={"kind": "exclusive_gate", "gate_bias": bias}) for bias in (0, -3, -6)]
    nets = [build(gate, seed=seed).eval() for seed, gate in enumerate(gates)]
    xs = pictures(tiny_net)
    whole = fuse(nets)(torch.cat(xs, 1)).chunk(len(nets), 1)
    for net, x, logits in zip(nets, xs, whole, strict=True):
        torch.testing.assert_close(logits, net(x), atol=1e-5, rtol=1e-4)


def test_networks_of_two_shapes_are_refused(tiny_net: Architecture) -> None:
    with pytest.raises(Unfusable, match="different shapes"):
        fuse([build(tiny_net), build(tiny_net.assign({"width": 2}))])


class Scaled(Unit):
    """A user-defined unit."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * x.mean()


class Squared(IdentityShortcut):
    """A user-defined formula."""

    fusing = "none"

    def combine(self, x: Any, f: Any, g: Any) -> Any:
        return x + f @ f


def test_a_module_that_derives_from_a_known_one_is_refused(tiny_net: Architecture) -> None:
    model = build(tiny_net)
    model.units[1] = Scaled(tiny_net.blueprint.units[1])
    assert refusal(model) == "units.1: Scaled has no fused form"


def test_a_formula_that_is_not_known_to_be_elementwise_is_refused(tiny_net: Architecture) -> None:
    model = build(tiny_net)
    part = model.get_submodule("units.2.h.sum")
    assert isinstance(part, Sum)
    part.shortcut = Squared()
    assert refusal(model) == "units.2.h.sum: the formula of Squared has no fused form"


@pytest.mark.parametrize("shape", [(), (1,), (4,)])
def test_a_known_module_with_an_extra_parameter_is_refused(shape: tuple[int, ...], tiny_net: Architecture) -> None:
    model = build(tiny_net)
    model.get_submodule("units.0.h.sum").scale = nn.Parameter(torch.ones(shape))
    assert refusal(model) == "units.0.h.sum: Sum has parameters that its fused form does not handle"


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "a convolution with reflect padding"),
        (nn.Linear(4, 4, bias=False), "a linear layer without a bias"),
        (nn.Flatten(0), "flattening only some of an image"),
        (nn.InstanceNorm2d(4), "InstanceNorm2d"),
        (nn.Softmax(1), "Softmax"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_a_module_that_mixes_networks_or_is_unknown_is_refused(part: nn.Module, why: str) -> None:
    assert refusal(nn.Sequential(nn.ReLU(), part)) == f"1: {why} has no fused form"
