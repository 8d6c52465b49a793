"""The time of a step is measured unit by unit, and shows what MACs do not."""

from __future__ import annotations

import time

import pytest
import torch

from resnet_space import Architecture, complexity, preset
from search.kernels.layers import Conditions
from search.kernels.soundness import FaultyKernel
from search.training import unit_times
from search.training.unit_times import measured_cost, step_seconds
from search.trials.recipe import RECIPES
from search.trials.resources import Resources

SMALL = preset("resnet20").assign({"input_shape": [1, 8, 8], "width": 0.5})


def at(batch: int) -> Conditions:
    return Conditions(batch, "cpu", 1, "float32")


@pytest.fixture(autouse=True)
def _measured_anew() -> None:
    unit_times._unit_seconds.cache_clear()


def test_networks_with_equal_macs_are_measured_separately() -> None:
    dropping = SMALL.assign({"unit.shortcut": "dropout"})
    assert complexity(dropping).macs == complexity(SMALL).macs
    assert step_seconds(dropping, at(4)) > 0
    assert step_seconds(SMALL, at(4)) > 0
    assert unit_times._unit_seconds.cache_info().misses == 2 * 5


def test_each_distinct_unit_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(time, "thread_time", lambda: float(next(clock)))
    # Each measurement takes a second, whatever the unit.
    assert step_seconds(SMALL, at(4)) == 9
    assert unit_times._unit_seconds.cache_info().misses == 5
    deeper = SMALL.assign({"stages.*.units": 5})
    assert step_seconds(deeper, at(4)) == 15
    assert unit_times._unit_seconds.cache_info().misses == 5


def test_the_time_is_that_of_the_batch_if_only_a_part_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(time, "thread_time", lambda: float(next(clock)))
    [unit, *_] = SMALL.blueprint.units
    number = unit_times._images(unit, 10**6)
    assert 2 <= number < 10**6
    assert unit_times._unit_seconds(unit, at(10**6), ()) == 10**6 / number
    assert unit_times._images(unit, 64) == 64


def test_measuring_draws_no_random_number_and_keeps_the_number_of_threads() -> None:
    torch.set_num_threads(2)
    try:
        before = torch.get_rng_state()
        step_seconds(SMALL.assign({"unit.shortcut": "dropout"}), at(8))
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_a_network_with_a_wrong_kernel_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise FaultyKernel("wrong")

    def never(*_: object) -> None:
        raise AssertionError("run")

    monkeypatch.setattr(unit_times, "check_kernels", faulty)
    monkeypatch.setattr(unit_times, "_unit_seconds", never)
    wide: Architecture = SMALL.assign({"width": 2})
    assert step_seconds(wide, at(64)) > step_seconds(SMALL, at(64)) > 0


@pytest.mark.parametrize(
    ("resources", "workers"), [({}, 1), ({}, 8), ({"gpus": 1}, 2)], ids=["one worker", "a worker each", "a GPU"]
)
def test_nothing_is_measured_if_the_order_makes_no_difference_or_for_gpus(
    resources: dict[str, float], workers: int
) -> None:
    assert measured_cost(Resources(**resources), RECIPES["digits"], workers=workers, trials=8) is None  # type: ignore[arg-type]


def test_the_measured_cost_of_a_network_is_that_of_a_batch_of_the_recipe() -> None:
    cost = measured_cost(Resources(), RECIPES["digits"], workers=2, trials=8)
    assert cost is not None
    assert cost(SMALL) == step_seconds(SMALL, at(64))
