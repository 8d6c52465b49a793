"""What every sampler keeps to, whatever it is, and what they are called."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from resnet_space import Space, complexity
from resnet_space.description import Description
from resnet_space.errors import InputError
from search.samplers.kinds import DEFAULT, SAMPLERS, AnySampler, Local
from search.samplers.sampler import Experience, Outcome, Proposal, Sampler, Strategy

OBJECTIVES = ("error", "macs")
SET = {"width": 0.25, "input_shape": [1, 8, 8], "stages.*.units": 1}
SPACES = {
    # 12 networks; the bias counts with the gate alone.
    "small": {
        "axes": {
            "unit.shortcut.kind": ["identity", "exclusive_gate", "none"],
            "unit.shortcut.gate_bias": [-6, 0],
            "unit.order": ["original", "full_preactivation", "bn_after_addition"],
        }
    },
    # 14 networks: units are chosen for two of three orders.
    "conditions": {
        "axes": {
            "unit.order": ["original", "full_preactivation", "bn_after_addition"],
            "stages.*.units": [1, 2, 3],
            "unit.shortcut.kind": ["identity", "none"],
        },
        "when": {"stages.*.units": {"unit.order": ["original", "full_preactivation"]}},
    },
    # 24 networks, others that are too deep, and bottlenecks too thin for a cardinality of 4.
    "constraints": {
        "axes": {
            "stages.*.units": [1, 2, 3],
            "unit.shortcut.kind": ["identity", "constant_scaling", "conv1x1", "none"],
            "unit.order": ["original", "full_preactivation"],
            "unit.branch.kind": ["basic", "bottleneck"],
            "unit.branch.cardinality": [1, 4],
        },
        "constraints": ["depth <= 14"],
    },
    "continuum": {
        "axes": {
            "unit.shortcut.gate_bias": {"low": -6, "high": 0},
            "unit.order": ["original", "full_preactivation"],
        },
        "set": SET | {"unit.shortcut.kind": "exclusive_gate"},
    },
}


def space(name: str) -> Space:
    return Space.of({"base": "resnet20", "set": SET, **SPACES[name]})


def strategy(name: str, where: Space, objectives: tuple[str, ...] = OBJECTIVES, seed: int = 0) -> Strategy:
    """One that is soon past its beginning."""
    soon = {field: 5 for field in ("startup", "population") if field in SAMPLERS[name].model_fields}
    return SAMPLERS[name].of(soon).strategy(where, objectives, seed)


def sampler(name: str, where: Space, seed: int = 0, **settings: Any) -> Sampler:
    return Sampler(where, strategy(name, where, seed=seed), seed=seed, **settings)


def trained(proposal: Proposal) -> Outcome:
    """An error that the network decides, as if it had been trained."""
    cost = complexity(proposal.net)
    luck = Random(f"{proposal.net.key} {proposal.seed}").random()
    return Outcome("complete", ((1 / (1 + proposal.net.depth) + luck) / 2, float(cost.macs)))


def badly(proposal: Proposal) -> Outcome:
    """Every end there is, in turn."""
    kinds = (trained(proposal), Outcome("pruned"), Outcome("diverged"), Outcome("failed"))
    late = Outcome("complete", trained(proposal).values, violation=0.5)
    return (*kinds, late)[proposal.number % 5]


History = list[tuple[Proposal, Outcome | None]]


def drive(
    of: Sampler, asks: int, become: Callable[[Proposal], Outcome] = trained, at_once: int = 1
) -> tuple[list[Proposal], History]:
    """So many are asked for, `at_once` running at a time and the last begun ended first: those, and the history."""
    asked, history, running = list[Proposal](), dict[int, tuple[Proposal, Outcome | None]](), list[Proposal]()
    while len(asked) < asks:
        proposal = of.ask()
        history.update({refused.number: (refused, outcome) for refused, outcome in of.refused()})
        if proposal is None:
            break
        asked.append(proposal)
        running.append(proposal)
        history[proposal.number] = (proposal, None)
        if len(running) == at_once:
            ended = running.pop()
            history[ended.number] = (ended, become(ended))
            of.tell(ended.number, become(ended))
    return asked, list(history.values())


@pytest.mark.parametrize("name", SAMPLERS)
class TestEverySampler:
    @pytest.mark.parametrize("where", ["small", "conditions", "constraints"])
    def test_asks_for_networks_of_the_space_that_keep_its_constraints(self, name: str, where: str) -> None:
        asked, _ = drive(sampler(name, space(where)), 9)
        assert len(asked) == 9
        for proposal in asked:
            assert space(where).feasible(proposal.net) is None
            # As the space writes it: every axis that counts, and no other.
            assert proposal.assignment in list(space(where).assignments())
            assert space(where).architecture(proposal.assignment).key == proposal.net.key

    @pytest.mark.parametrize("where", ["small", "conditions"])
    def test_an_exhausted_space_has_been_asked_for_once_each(self, name: str, where: str) -> None:
        asked, _ = drive(sampler(name, space(where)), 1000)
        assert sorted(proposal.net.key for proposal in asked) == sorted(net.key for net in space(where).enumerate())

    def test_the_same_seed_asks_for_the_same(self, name: str) -> None:
        one, other = (drive(sampler(name, space("constraints")), 9) for _ in range(2))
        assert one == other

    @pytest.mark.parametrize("at_once", [1, 3])
    @pytest.mark.parametrize("stop", [3, 8])
    def test_a_restored_search_goes_on_as_if_undisturbed(self, name: str, stop: int, at_once: int) -> None:
        undisturbed = sampler(name, space("constraints"))
        _, history = drive(undisturbed, stop, badly, at_once)
        restored = sampler(name, space("constraints"))
        # The store gives them back in an order of its own.
        restored.restore(reversed(history))
        assert drive(restored, 3, badly) == drive(undisturbed, 3, badly)

    def test_numbers_only_grow(self, name: str) -> None:
        of = sampler(name, space("constraints"))
        _, history = drive(of, 6)
        numbers = [proposal.number for proposal, _ in history]
        assert len(set(numbers)) == len(numbers)
        again = sampler(name, space("constraints"))
        again.restore(history)
        proposal = again.ask()
        assert proposal is not None
        assert proposal.number > max(numbers)

    def test_replicates_have_seeds_of_their_own(self, name: str) -> None:
        asked, _ = drive(sampler(name, space("small"), replicates=2), 8)
        pairs = [(proposal.net.key, proposal.seed) for proposal in asked]
        assert [seed for _, seed in pairs] == [0, 1] * 4
        assert len({key for key, _ in pairs}) == 4

    def test_no_end_of_a_trial_stops_it(self, name: str) -> None:
        asked, _ = drive(sampler(name, space("constraints")), 11, badly)
        assert len({proposal.net.key for proposal in asked}) == 11

    def test_it_goes_on_where_nothing_ever_completes(self, name: str) -> None:
        asked, _ = drive(sampler(name, space("small")), 12, lambda _: Outcome("diverged"))
        assert len(asked) == 12

    def test_trials_that_run_at_a_time_are_different_ones(self, name: str) -> None:
        of = sampler(name, space("constraints"))
        drive(of, 6)
        assert len({proposal.net.key for proposal in (of.ask() for _ in range(4)) if proposal}) == 4

    def test_a_continuum_is_searched_or_refused(self, name: str) -> None:
        where = space("continuum")
        if name == "grid":
            with pytest.raises(InputError, match=r"grid has no end on the continuous range of unit\.shortcut\.gate"):
                sampler(name, where)
            return
        asked, _ = drive(sampler(name, where), 8)
        assert len({proposal.assignment["unit.shortcut.gate_bias"] for proposal in asked}) == 8

    @pytest.mark.parametrize("objectives", [("error",), ("macs",), ("error", "params", "latency_ms")])
    def test_any_objectives_will_do(self, name: str, objectives: tuple[str, ...]) -> None:
        where = space("small")
        of = Sampler(where, strategy(name, where, objectives))
        for _ in range(7):
            proposal = of.ask()
            assert proposal is not None
            known = {"error": 0.5, "latency_ms": 2.0 + proposal.number, "macs": 1e5, "params": 1e4}
            of.tell(proposal.number, Outcome("complete", tuple(known[name] for name in objectives)))


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "grid"])
def test_another_seed_asks_for_something_else(name: str) -> None:
    one, other = (drive(sampler(name, space("constraints"), seed), 10)[0] for seed in (0, 1))
    assert [proposal.net.key for proposal in one] != [proposal.net.key for proposal in other]


class Stubborn(Experience):
    """Proposes the same for ever."""

    def __init__(self, assignment: dict[str, Any]) -> None:
        super().__init__()
        self.assignment = assignment

    def propose(self, number: int) -> dict[str, Any]:
        return self.assignment


THIN = {
    "stages.*.units": 1,
    "unit.shortcut.kind": "identity",
    "unit.order": "original",
    "unit.branch.kind": "basic",
    "unit.branch.cardinality": 1,
}


@pytest.mark.parametrize(
    "changes", [{}, {"stages.*.units": 3}, {"unit.branch.cardinality": 4}, {"unit.branch.cardinality": 5}]
)
def test_a_stubborn_strategy_does_not_keep_the_space_from_being_exhausted(changes: dict[str, Any]) -> None:
    where = space("constraints")
    asked, _ = drive(Sampler(where, Stubborn(THIN | changes)), 1000)
    assert sorted(proposal.net.key for proposal in asked) == sorted(net.key for net in where.enumerate())


def test_what_breaks_a_constraint_is_told_and_handed_over_once() -> None:
    where = space("constraints")
    strategy = Stubborn(THIN | {"stages.*.units": 3})
    of = Sampler(where, strategy)
    drawn = of.ask()
    [(refused, outcome)] = of.refused()
    assert of.refused() == []
    assert refused.reason == "depth <= 14 is false: depth = 20"
    assert outcome == Outcome("infeasible", violation=where.violation(refused.net))
    assert outcome.violation > 0
    assert drawn is not None
    assert [end.status for _, end in strategy.learned] == ["infeasible", "running"]


def test_in_a_space_too_large_to_list_it_draws_instead() -> None:
    where = space("continuum")
    asked, _ = drive(Sampler(where, Stubborn({"unit.shortcut.gate_bias": -1.0, "unit.order": "original"})), 3)
    assert asked[0].assignment["unit.shortcut.gate_bias"] == -1.0
    assert len({proposal.net.key for proposal in asked}) == 3


@pytest.mark.parametrize("given", [("complete", None), ("pruned", (0.1, 2.0)), ("complete", (float("nan"), 2.0))])
def test_values_are_those_of_a_complete_trial_and_finite(given: Any) -> None:
    with pytest.raises(ValueError, match="values"):
        Outcome(*given)


class Named(Description):
    """A study's field."""

    sampler: AnySampler = DEFAULT


class TestInAStudy:
    @pytest.mark.parametrize("name", SAMPLERS)
    def test_a_bare_name_will_do(self, name: str) -> None:
        assert Named.of({"sampler": name}).sampler == SAMPLERS[name]()

    def test_the_default_is_local(self) -> None:
        assert Named.of({}).sampler == Local()
        assert DEFAULT.kind == "local"

    def test_an_unknown_name_is_told_the_nearest(self) -> None:
        with pytest.raises(InputError, match="did you mean 'random'"):
            Named.of({"sampler": "randon"})

    def test_a_field_of_another_sampler_is_told_where_it_belongs(self) -> None:
        with pytest.raises(InputError, match=r"tpe has no 'population'; it belongs to: nsga2, nsga3"):
            Named.of({"sampler": {"kind": "tpe", "population": 30}})

    @pytest.mark.parametrize("name", SAMPLERS)
    def test_it_is_written_and_read_back(self, name: str) -> None:
        study = Named.of({"sampler": name})
        assert Named.from_yaml(study.to_yaml()) == study
