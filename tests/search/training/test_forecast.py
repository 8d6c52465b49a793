"""Forecasts of training: bytes from saved activations, seconds from a few real steps."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import Architecture, complexity, preset
from search.data import Images
from search.training.forecast import interpolated_seconds, memory_of_step, seconds_per_trial, total_memory
from search.trials.recipe import Recipe
from search.trials.resources import Resources
from search.trials.trial import TrialSpec

NET = preset("resnet20").assign({"width": 0.25, "stages.*.units": 1, "input_shape": [1, 8, 8]})


def recipe(batch: int = 64) -> Recipe:
    return Recipe(epochs=1, batch_size=batch)


def test_weights_gradients_and_momenta_are_four_bytes_each() -> None:
    assert memory_of_step(NET, recipe()).weights == 12 * complexity(NET).params


def test_saved_activations_are_linear_in_the_batch() -> None:
    kept = [memory_of_step(NET, recipe(batch)).activations for batch in (8, 16, 32)]
    assert kept[2] - kept[1] == 2 * (kept[1] - kept[0])


@pytest.mark.parametrize("batch", [2, 16])
def test_saved_activations_are_those_of_autograd_on_the_cpu(batch: int) -> None:
    from resnet_space import build

    model, kept = build(NET).train(), {}
    mine = {parameter.data_ptr() for parameter in model.parameters()}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in mine:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(torch.zeros(batch, *NET.input_shape))
    there = sum(storage.nbytes() for storage in kept.values())
    assert memory_of_step(NET, recipe(batch)).activations == pytest.approx(there, rel=0.05)


def test_a_wider_network_takes_more() -> None:
    wide = NET.assign({"width": 2})
    assert memory_of_step(wide, recipe()).total > memory_of_step(NET, recipe()).total


def test_memory_is_computed_without_allocating_any() -> None:
    huge = preset("resnet152", input_shape=(3, 224, 224))
    assert memory_of_step(huge, recipe(4096)).total > 2**38


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_calibration_gives_seconds_and_does_not_change_threads_and_random_numbers(
    epochs: int, trial: Callable[..., TrialSpec], tiny_net: Architecture, digits: Images
) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    seconds = seconds_per_trial(trial(epochs=epochs), digits, Resources())
    assert math.isfinite(seconds)
    assert seconds > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


measured = st.lists(
    st.tuples(st.integers(1, 10**9), st.floats(0.01, 1e4)), min_size=1, max_size=6, unique_by=lambda p: p[0]
)


@given(measured)
def test_a_network_that_was_timed_takes_its_own_time(points: list[tuple[int, float]]) -> None:
    for macs, seconds in points:
        assert interpolated_seconds(points, macs) == pytest.approx(seconds)


@given(measured, st.integers(1, 10**9))
def test_others_take_between_the_least_and_the_most_that_was_timed(points: list[tuple[int, float]], macs: int) -> None:
    times = [seconds for _, seconds in points]
    assert min(times) * 0.999 <= interpolated_seconds(points, macs) <= max(times) * 1.001


def test_this_machine_has_memory() -> None:
    assert total_memory("cpu") > 2**28


@pytest.mark.parametrize("kind", ["identity", "none", "dropout", "exclusive_gate", "shortcut_only_gate", "conv1x1"])
@pytest.mark.parametrize("batch", [2, 5])
def test_saved_activations_with_the_loss_are_exact_to_the_byte(kind: str, batch: int) -> None:
    from resnet_space import build

    net = NET.assign({"unit.shortcut.kind": kind})
    model, kept = build(net).train(), {}
    mine = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = model(torch.zeros(batch, *net.input_shape))
        torch.nn.functional.cross_entropy(logits, torch.zeros(batch, dtype=torch.long))
    there = sum(storage.nbytes() for address, storage in kept.items() if address not in mine)
    assert memory_of_step(net, recipe(batch)).activations == there


@pytest.mark.parametrize("changes", [{"steps": 1}, {"epochs": 1, "batch_size": 512}], ids=str)
def test_a_training_shorter_than_its_calibration_is_forecast(
    changes: dict[str, int], trial: Callable[..., TrialSpec], digits: Images
) -> None:
    assert 0 < seconds_per_trial(trial(**changes), digits, Resources()) < math.inf


def test_the_number_of_threads_is_restored_if_a_calibration_fails(
    trial: Callable[..., TrialSpec], digits: Images
) -> None:
    threads = torch.get_num_threads()
    of_three_channels = trial(net=NET.assign({"input_shape": [3, 8, 8]}))
    with pytest.raises(RuntimeError):
        seconds_per_trial(of_three_channels, digits, Resources(cpus=threads + 1))
    assert torch.get_num_threads() == threads


def test_networks_with_equal_macs_take_their_mean_time() -> None:
    points = [(100, 1.0), (100, 3.0), (200, 6.0)]
    assert interpolated_seconds(points, 100) == pytest.approx(2.0)
    assert interpolated_seconds(points, 150) == pytest.approx(4.0)


def test_a_network_whose_batches_skip_branches_is_timed(trial: Callable[..., TrialSpec], digits: Images) -> None:
    net = trial().architecture.replace(survival=0.1)
    assert (
        memory_of_step(net, Recipe(epochs=1)).activations
        >= memory_of_step(trial().architecture, Recipe(epochs=1)).activations
    )
    assert seconds_per_trial(trial(net=net, epochs=1), digits, Resources()) > 0
