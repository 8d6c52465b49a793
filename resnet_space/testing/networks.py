"""Laws that every network satisfies, whatever its parts are."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space.architecture import Architecture
from resnet_space.builder import build
from resnet_space.counter import UNCOUNTED_OPERATORS, complexity, count
from resnet_space.fused import Unfusable, draw_from, fuse, refusal
from resnet_space.modules import ResidualNet
from resnet_space.testing.laws import check, expect, table

BATCH = 4
SEEDS = (0, 1, 2)
CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-4}


def check_network(net: Architecture) -> None:
    """Check every law of `NETWORK_LAWS`.

    Raises:
        AssertionError: the first law that is broken.
    """
    check(NETWORK_LAWS, net, f"the network {net.key}")


def shapes_are_those_of_the_description(net: Architecture) -> None:
    """Every unit's output has the shape given in the blueprint, and the logits are (N, classes)."""
    model, found = stirred(net), list[tuple[int, ...]]()
    for unit in model.units:
        unit.register_forward_hook(lambda _, __, y: found.append(tuple(y.shape)))
    logits = model(images(net))
    wanted = [(BATCH, unit.out_channels, *unit.out_size) for unit in net.blueprint.units]
    for number, (shape, right) in enumerate(zip(found, wanted, strict=True)):
        expect(shape == right, f"Unit {number} returns {shape}; expected {right}.")
    expect(tuple(logits.shape) == (BATCH, net.classes), f"The logits are {tuple(logits.shape)}.")


def a_gradient_reaches_every_weight(net: Architecture) -> None:
    """A training step gives every weight a finite gradient, which is not zero in at least one of three networks."""
    reached = dict.fromkeys((name for name, _ in build(net).named_parameters()), False)
    for seed in SEEDS:
        model = stirred(net, seed)
        _loss(net, model(images(net, seed))).backward()  # type: ignore[no-untyped-call]
        for name, weight in model.named_parameters():
            gradient = torch.zeros(1) if weight.grad is None else weight.grad
            expect(bool(gradient.isfinite().all()), f"The gradient of {name} is not finite.")
            reached[name] |= bool(gradient.any())
    missed = [name for name, found in reached.items() if not found]
    expect(not missed, f"No gradient reaches {', '.join(missed)}.")


def counts_are_those_of_the_whole_network(net: Architecture) -> None:
    """The costs counted unit by unit are those that fvcore counts for the complete network."""
    by_units, whole = complexity(net), count(build(net), net.input_shape)
    expect(by_units == whole, f"By units: {by_units}; as a whole: {whole}.")


def every_operator_is_counted_or_listed(net: Architecture) -> None:
    """Every operator that runs is counted or listed as left out."""
    unknown = sorted(set(complexity(net).uncounted) - set(UNCOUNTED_OPERATORS))
    expect(not unknown, f"Neither counted nor listed: {', '.join(unknown)}.")


def a_seed_decides_all_weights(net: Architecture) -> None:
    """The same seed gives the same weights, and another seed gives different ones."""
    one, again, other = (build(net, seed=seed).state_dict() for seed in (1, 1, 2))
    differ = [name for name in one if not torch.equal(one[name], again[name])]
    expect(not differ, f"With the same seed these differ: {', '.join(differ)}.")
    expect(any(not torch.equal(one[name], other[name]) for name in one), "Two seeds give the same weights.")


def evaluation_draws_nothing(net: Architecture) -> None:
    """In evaluation mode the same images give the same logits, and no random number is drawn."""
    model, x = stirred(net).eval(), images(net)
    before = torch.get_rng_state()
    one, other = model(x), model(x)
    expect(torch.equal(one, other), "Two passes over the same images differ.")
    expect(torch.equal(torch.get_rng_state(), before), "The state of torch's generator has changed.")


def fused_networks_compute_the_same(net: Architecture) -> None:
    """Several networks fused into one compute what each computes alone, or `refusal` says why they cannot be fused."""
    for training in (True, False):
        alone = [stirred(net, seed).train(training) for seed in SEEDS]
        if why := refusal(copy.deepcopy(alone[0])):
            _expect_refused(alone, why)
            return
        together = fuse(copy.deepcopy(alone))
        draw_from(together, [torch.Generator().manual_seed(seed) for seed in SEEDS])
        xs = [images(net, seed) for seed in SEEDS]
        logits = together(torch.cat(xs, 1)).chunk(len(SEEDS), dim=1)
        for seed, model, x, found in zip(SEEDS, alone, xs, logits, strict=True):
            torch.manual_seed(seed)
            _close(found, model(x), f"The logits of network {seed} of {len(SEEDS)} fused")


def exported_networks_compute_the_same(net: Architecture) -> None:
    """Exported as a graph, or as ONNX if its packages are installed, it gives the same logits for any batch size."""
    model, x = stirred(net).eval(), images(net)
    batch = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(model, (x[:2],), dynamic_shapes=batch)
    _close(exported.module()(x), model(x), "The exported graph's logits")
    if all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        program = torch.onnx.export(exported, dynamo=True, verbose=False)
        assert program is not None
        _close(program(x)[0], model(x), "ONNX's logits")


NETWORK_LAWS = table(
    shapes_are_those_of_the_description,
    a_gradient_reaches_every_weight,
    counts_are_those_of_the_whole_network,
    every_operator_is_counted_or_listed,
    a_seed_decides_all_weights,
    evaluation_draws_nothing,
    fused_networks_compute_the_same,
    exported_networks_compute_the_same,
)


def images(net: Architecture, seed: int = 9) -> Tensor:
    return torch.randn(BATCH, *net.input_shape, generator=torch.Generator().manual_seed(seed))


def stirred(net: Architecture, seed: int = 0) -> ResidualNet:
    """Return the network with all weights and statistics changed: an initial 0 would hide what follows it."""
    model, random = build(net, seed=seed), torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.data.add_(0.1 * torch.randn(weight.shape, generator=random))
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(std=0.1, generator=random)
            part.running_var.uniform_(0.5, 1.5, generator=random)
    return model


def _loss(net: Architecture, logits: Tensor) -> Tensor:
    return functional.cross_entropy(logits, torch.arange(len(logits)) % net.classes)


def _expect_refused(nets: list[ResidualNet], why: str) -> None:
    """Check that `fuse` raises the reason that `refusal` returned."""
    try:
        fuse(nets)
    except Unfusable as error:
        expect(str(error) == why, f"`fuse` raises {str(error)!r}, but `refusal` returns {why!r}.")
        return
    raise AssertionError(f"`fuse` accepts networks that `refusal` refuses: {why}")


def _close(found: Tensor, wanted: Tensor, what: str) -> None:
    expect(found.shape == wanted.shape, f"{what} are {tuple(found.shape)}; expected {tuple(wanted.shape)}.")
    off = float((found - wanted).detach().abs().max())
    expect(torch.allclose(found, wanted, **CLOSE), f"{what} differ by up to {off:.2g}.")
