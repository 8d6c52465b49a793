"""Verdicts of simulated ablations, through the code of a run: false ones are rare, large differences are found.

`benchmarks/verdicts.py` repeats this more often, for more cells; docs/verdicts.md has its results.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from simulated_arms import Cell, Draw, Simulation, draw, mean_errors, simulate, trained_mean

CHANCE = 1e-3
"""The probability that a test fails although its bound holds exactly."""
MANY = dict[str, Any]
FINE: MANY = {"images": 10_000, "error": 0.1}

FALSE_ALARMS = {
    "two seeds": (Cell(seeds=2, arms=10), 30),
    "three seeds": (Cell(seeds=3, arms=4), 40),
    "few images": (Cell(seeds=3, arms=4, error=0.003, images=100), 40),
    "no spread": (Cell(seeds=2, arms=4, spread=0.0), 40),
    "an arm that always fails": (Cell(seeds=2, arms=4, failing=True), 40),
    "seeds that diverge": (Cell(seeds=4, arms=4, collapse=0.2, diverges=True), 40),
    "interim analyses": (Cell(seeds={"min": 2, "max": 4}, arms=4), 30),
    "equivalence": (Cell(seeds=3, arms=4, error=0.1, margin=0.8), 40),
}
SLOW_FALSE_ALARMS = {
    "thirty arms": (Cell(seeds=3, arms=30), 100),
    "ten seeds, errors of 40 %": (Cell(seeds=10, arms=4, error=0.4), 300),
    "spreads that differ a hundredfold": (Cell(seeds=5, arms=4, prior=1), 300),
    "seeds that pair arms": (Cell(seeds=3, arms=4, correlation=0.9, **FINE), 300),
    "interim analyses": (Cell(seeds={"min": 3, "max": 8}, arms=4), 100),
    "equivalence with few images": (Cell(seeds=10, arms=4, error=0.01, images=100, margin=1.5), 300),
    "equivalence of paired arms": (Cell(seeds=5, arms=4, images=10_000, error=0.05, margin=0.4, correlation=0.9), 300),
}


def hold(cell: Cell, repetitions: int) -> None:
    found = simulate(cell, repetitions)
    most = int(stats.binom.isf(CHANCE, repetitions, 0.05))
    assert found.false_families <= most, f"{found.false_families} of {repetitions}"


@pytest.mark.parametrize(("cell", "repetitions"), FALSE_ALARMS.values(), ids=FALSE_ALARMS)
def test_false_verdicts_are_rare(cell: Cell, repetitions: int) -> None:
    hold(cell, repetitions)


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "repetitions"), SLOW_FALSE_ALARMS.values(), ids=SLOW_FALSE_ALARMS)
def test_false_verdicts_are_rare_in_larger_and_harder_studies(cell: Cell, repetitions: int) -> None:
    hold(cell, repetitions)


@pytest.mark.parametrize(("seeds", "power"), [(2, 0.5), (3, 0.75)])
def test_two_and_three_seeds_of_ten_arms_find_large_differences(seeds: int, power: float) -> None:
    repetitions = 40
    assert simulate(Cell(seeds=seeds, arms=10), repetitions).power > power - 3 * sqrt(0.25 / (5 * repetitions))


def test_a_paired_test_finds_much_less() -> None:
    assert simulate(Cell(seeds=2, arms=10, test="paired_t"), 5).power == 0
    assert simulate(Cell(seeds=3, arms=10, test="paired_t"), 20).power < 0.6


@pytest.mark.parametrize(
    "cell",
    [
        Cell(seeds=3, arms=4, adjust="none"),
        Cell(seeds=5, arms=4, adjust="none", prior=inf, images=10_000),
        Cell(seeds=5, arms=4, adjust="none", error=0.05, collapse=0.2, diverges=True),
    ],
    ids=["usual", "equal spreads", "one seed in five diverges"],
)
def test_intervals_contain_the_true_difference(cell: Cell) -> None:
    found = simulate(cell, 60)
    assert found.confidence == pytest.approx([0.95] * len(found.confidence))
    assert 0.94 - 3 * found.coverage_error < found.coverage
    assert found.rates_covering > 0.94 * found.rates or not found.rates, "intervals of the rate of failure"


@pytest.mark.parametrize(("seeds", "told"), [(2, True), (3, True), (4, False)])
def test_a_verdict_on_few_seeds_that_all_failed_says_that_they_are_too_few(seeds: int, told: bool) -> None:
    cell = Cell(seeds=seeds, arms=4, failing=True, error=0.05)
    *_, last = Simulation(cell).findings(draw(cell, np.random.default_rng(0)))
    assert last.resolved
    assert ("too few to show that it always does" in last.verdict) is told


def test_an_arm_at_the_margin_differs_by_it_in_its_mean_error() -> None:
    cell = Cell(seeds=3, arms=6, error=0.1, margin=0.8, prior=1)
    drawn = draw(cell, np.random.default_rng(1))
    assert cell.within == pytest.approx(expit(logit(0.1) + 0.8) - 0.1)
    assert abs(drawn.means - drawn.means[0]) == pytest.approx([0, 0, 0, 0, *[cell.within] * 3], abs=1e-6)


def test_the_mean_error_of_an_arm_is_that_of_many_seeds() -> None:
    many = expit(-2 + 1.5 * np.random.default_rng(0).standard_normal(100_000)).mean()
    assert mean_errors(np.array([-2.0]), np.array([1.5]))[0] == pytest.approx(many, abs=2e-3)


def of_one_arm(centre: float, spread: float) -> Draw:
    return Draw(np.zeros((1, 5)), np.zeros((1, 5), dtype=bool), np.array([centre]), np.array([spread]))


def test_where_an_arm_trains_is_without_the_seeds_that_are_taken_for_failures() -> None:
    """Errors between 0 and 100 %: a study that finds one seed of five at 90 % is about the other four."""
    rng, wide = np.random.default_rng(0), of_one_arm(-2.5, 4.0)
    failing = trained_mean(Cell(seeds=5), wide, 0, 5, True, rng)
    none_fails = trained_mean(Cell(seeds=5), wide, 0, 5, False, rng)
    assert failing < none_fails < 0.1 < wide.means[0]


def test_an_arm_of_usual_spread_trains_at_every_seed() -> None:
    usual = of_one_arm(-2.2, 0.15)
    assert trained_mean(Cell(seeds=5), usual, 0, 5, False, np.random.default_rng(0)) == usual.means[0]


@pytest.mark.parametrize("seeds", [5, 10])
def test_intervals_contain_the_difference_where_both_train_though_spreads_differ_a_hundredfold(seeds: int) -> None:
    found = simulate(Cell(seeds=seeds, arms=4, adjust="none", prior=1), 60)
    assert 0.94 - 3 * found.coverage_error < found.coverage
    assert found.coverage_of_all < found.coverage
