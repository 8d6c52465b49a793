"""Every sampler satisfies the laws of strategies, and can be named in a study."""

from __future__ import annotations

from typing import Any

import pytest

from resnet_space.description import Description
from resnet_space.errors import InputError
from search.samplers.kinds import DEFAULT, SAMPLERS, AnySampler, Local
from search.samplers.sampler import Experience, Outcome, Sampler
from search.testing import STRATEGY_LAWS
from search.testing.searches import OBJECTIVES, Make, drive, space


def made_by(name: str) -> Make:
    """Return a sampler's strategy, with few startup trials."""
    soon = {field: 5 for field in ("startup", "population") if field in SAMPLERS[name].model_fields}
    return SAMPLERS[name].of(soon).strategy


CASES = [
    pytest.param(name, law, id=f"{name}-{law}")
    for name in SAMPLERS
    for law in STRATEGY_LAWS
    if (name, law) != ("grid", "another_seed_asks_for_others")
]


@pytest.mark.parametrize(("name", "law"), CASES)
def test_a_sampler_satisfies_the_law(name: str, law: str) -> None:
    STRATEGY_LAWS[law](made_by(name))


def test_only_grid_refuses_a_continuous_range() -> None:
    where = space("continuum")
    with pytest.raises(InputError, match=r"grid has no end on the continuous range of unit\.shortcut\.gate"):
        made_by("grid")(where, OBJECTIVES, 0)
    for name in SAMPLERS.keys() - {"grid"}:
        made_by(name)(where, OBJECTIVES, 0)


class Stubborn(Experience):
    """Always proposes the same assignment."""

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
def test_the_space_is_exhausted_even_if_the_strategy_repeats_itself(changes: dict[str, Any]) -> None:
    where = space("constraints")
    asked, _ = drive(Sampler(where, Stubborn(THIN | changes)), 1000)
    assert sorted(proposal.net.key for proposal in asked) == sorted(net.key for net in where.enumerate())


def test_a_proposal_that_violates_a_constraint_is_learned_and_returned_once() -> None:
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


def test_in_a_space_too_large_to_list_the_sampler_draws() -> None:
    where = space("continuum")
    asked, _ = drive(Sampler(where, Stubborn({"unit.shortcut.gate_bias": -1.0, "unit.order": "original"})), 3)
    assert asked[0].assignment["unit.shortcut.gate_bias"] == -1.0
    assert len({proposal.net.key for proposal in asked}) == 3


@pytest.mark.parametrize("given", [("complete", None), ("pruned", (0.1, 2.0)), ("complete", (float("nan"), 2.0))])
def test_only_complete_trials_have_values_and_they_are_finite(given: Any) -> None:
    with pytest.raises(ValueError, match="values"):
        Outcome(*given)


class Named(Description):
    """A study's field."""

    sampler: AnySampler = DEFAULT


class TestInAStudy:
    @pytest.mark.parametrize("name", SAMPLERS)
    def test_a_name_alone_is_enough(self, name: str) -> None:
        assert Named.of({"sampler": name}).sampler == SAMPLERS[name]()

    def test_the_default_is_local(self) -> None:
        assert Named.of({}).sampler == Local()
        assert DEFAULT.kind == "local"

    def test_the_error_for_an_unknown_name_suggests_the_nearest(self) -> None:
        with pytest.raises(InputError, match="did you mean 'random'"):
            Named.of({"sampler": "randon"})

    def test_the_error_for_another_samplers_field_names_those_samplers(self) -> None:
        with pytest.raises(InputError, match=r"tpe has no 'population'; it belongs to: nsga2, nsga3"):
            Named.of({"sampler": {"kind": "tpe", "population": 30}})

    @pytest.mark.parametrize("name", SAMPLERS)
    def test_it_is_written_and_read_back(self, name: str) -> None:
        study = Named.of({"sampler": name})
        assert Named.from_yaml(study.to_yaml()) == study
