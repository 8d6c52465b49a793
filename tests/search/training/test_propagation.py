"""Signal propagation: the measured values are those derived in 1603.05027, and measuring changes nothing."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from resnet_space import Architecture, build, preset
from search.data import Images
from search.store.store import Store
from search.training.propagation import Signals, measure
from search.training.train import train
from search.trials.events import Finished, Probe
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]
NET = preset("resnet20").assign({"width": 0.25, "input_shape": [1, 8, 8]})
ALIKE = [1, 2, 4, 5, 7, 8]
"""Units that change no shape."""
torch.manual_seed(0)
X, Y = torch.randn(16, 1, 8, 8), torch.arange(16) % 10


def signals(**changes: Any) -> Signals:
    return measure(build(NET.assign({path.replace("__", "."): value for path, value in changes.items()}), seed=0), X, Y)


def gains(shortcut: Any) -> list[float | None]:
    found = signals(unit__shortcut=shortcut).gain
    return [found[unit] for unit in ALIKE]


def test_there_is_one_number_per_unit() -> None:
    assert {len(values) for values in vars(signals()).values()} == {9}


def test_an_identity_carries_everything_and_no_shortcut_nothing() -> None:
    assert gains("identity") == pytest.approx([1] * 6)
    assert gains("none") == [0] * 6


def test_the_gain_of_a_constant_shortcut_is_the_constant() -> None:
    assert gains({"kind": "constant_scaling", "shortcut_scale": 0.5, "branch_scale": 1}) == pytest.approx([0.5] * 6)


@pytest.mark.parametrize(
    ("kind", "bias", "least", "most"), [("exclusive_gate", -6, 0.95, 1), ("exclusive_gate", 6, 0, 0.2)]
)
def test_a_gate_carries_what_its_bias_leaves(kind: str, bias: float, least: float, most: float) -> None:
    assert all(least <= (gain or 0) <= most for gain in gains({"kind": kind, "gate_bias": bias}))


def test_dropped_pixels_count_as_the_equivalent_scaling() -> None:
    # Half of them are 0, the others are doubled: the root mean square grows by sqrt 2.
    torch.manual_seed(0)
    found = gains({"kind": "dropout", "p": 0.5})
    assert found[:2] == pytest.approx([2**0.5] * 2, rel=0.1), "where maps are not tiny"


def test_padded_zeros_lower_the_mean_square() -> None:
    found = signals().gain
    assert found[3] is not None
    assert 0.5 < found[3] < 0.9


def test_the_gradient_is_that_at_the_input_of_the_unit() -> None:
    model = build(NET, seed=0).train()
    found = measure(model, X, Y)
    between = model.stem(X).detach().requires_grad_()
    functional.cross_entropy(model.head(model.units(between)), Y).backward()
    assert between.grad is not None
    assert found.gradient[0] == pytest.approx(float(between.grad.norm()), rel=1e-4)


def test_the_variance_is_that_of_the_output() -> None:
    model = build(NET, seed=0).train()
    found = measure(model, X, Y)
    assert found.variance[-1] == pytest.approx(float(model.units(model.stem(X)).detach().var()), rel=1e-4)


def test_a_relu_is_dead_where_it_is_zero_for_all_images() -> None:
    model = build(NET, seed=0)
    with torch.no_grad():
        # BN after the branch's first convolution, one of four channels far below zero.
        model.units[0].F[1].bias[0] = -100.0
    dead = measure(model, X, Y).dead
    assert dead[0] == pytest.approx(0.125, abs=0.02), "one of four channels of one of two ReLUs"
    assert dead[0] > (dead[1] or 0)


def test_halved_shortcuts_carry_nothing_through_depth_and_make_gradients_uneven() -> None:
    deep = preset("resnet56").assign({"width": 0.25, "input_shape": [1, 8, 8]})
    halved = deep.assign({"unit.shortcut": {"kind": "constant_scaling", "shortcut_scale": 0.5, "branch_scale": 0.5}})

    def through(net: Architecture) -> tuple[float, float]:
        """The product of the shortcuts' gains, and the gradient at the first unit divided by that at the last."""
        found = measure(build(net, seed=0), X, Y)
        gradient = [value or 0.0 for value in found.gradient]
        return math.prod(value or 0.0 for value in found.gain), gradient[0] / gradient[-1]

    kept, even = through(deep)
    lost, uneven = through(halved)
    assert kept > 0.1
    assert lost < 1e-6, "0.5 to the power of 27 units"
    # Batch normalisation lets no gradient vanish: what comes through the branches alone grows on its way down.
    assert uneven > 5 * even


@pytest.mark.parametrize("shortcut", ["identity", "none", {"kind": "dropout", "p": 0.5}])
def test_measuring_leaves_the_model_and_the_generators_as_they_were(shortcut: Any) -> None:
    model = build(NET.assign({"unit.shortcut": shortcut}), seed=0).eval()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    measure(model, X, Y)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_values_that_are_not_finite_become_none() -> None:
    model = build(NET, seed=0)
    with torch.no_grad():
        model.head[-1].weight.fill_(float("inf"))
    found = measure(model, X, Y)
    assert found.gradient == [None] * 9
    assert None not in found.variance


def test_probes_come_at_their_epochs_and_change_no_number(trial: Trial, digits: Images) -> None:
    spec = trial(epochs=2)
    with_probes, without = list(train(spec, digits, probes=(0, 2))), list(train(spec, digits))
    assert [event.epoch for event in with_probes if isinstance(event, Probe)] == [0, 2]
    ends = [next(e for e in events if isinstance(e, Finished)) for events in (with_probes, without)]
    assert ends[0].test_error == ends[1].test_error


def test_a_probe_is_stored_once_and_read_back(trial: Trial, digits: Images, tmp_path: Path) -> None:
    spec, store = trial(epochs=1), Store.at(tmp_path)
    store.add([spec])
    events = list(train(spec, digits, probes=(0,)))
    for event in [*events[:2], events[1]]:
        assert store.write([event])
    assert store.propagation() == [events[1]]
    store.close()
