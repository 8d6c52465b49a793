"""How trials are reported to Optuna, and written to its storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import NSGAIIISampler, NSGAIISampler
from optuna.trial import TrialState

from resnet_space import Space
from resnet_space.axes import Choices, Range
from resnet_space.errors import InputError
from search.samplers.optuna_sampler import OptunaStrategy, nsga2, nsga3, scale, shown, tpe, write_storage
from search.samplers.sampler import Outcome, Proposal
from search.trials.events import Status

OBJECTIVES = ("error", "macs")
SPACE = Space.of(
    {
        "base": "resnet20",
        "set": {"width": 0.25, "input_shape": [1, 8, 8]},
        "axes": {
            "unit.shortcut.kind": ["identity", "exclusive_gate"],
            "unit.shortcut.gate_bias": {"low": -6, "high": 0},
            "stages.*.units": [4, 1, 2],
        },
    }
)
ENDS = {
    "complete": Outcome("complete", (0.25, 1e6)),
    "pruned": Outcome("pruned"),
    "diverged": Outcome("diverged"),
    "failed": Outcome("failed"),
    "infeasible": Outcome("infeasible", violation=0.5),
    "running": Outcome("running"),
}


def proposal(number: int, **changes: Any) -> Proposal:
    assignment = {"unit.shortcut.kind": "identity", "stages.*.units": 2} | changes
    return Proposal(number, assignment, SPACE.architecture(assignment))


def reported(outcome: Outcome) -> optuna.trial.FrozenTrial:
    strategy = OptunaStrategy(SPACE, OBJECTIVES, lambda seed: tpe(10, True, seed))
    strategy.learn(proposal(0), Outcome("running"))
    strategy.learn(proposal(0), outcome)
    [trial] = strategy.study(1).trials
    return trial


class TestReports:
    @pytest.mark.parametrize(
        ("status", "state"),
        [
            ("complete", TrialState.COMPLETE),
            ("pruned", TrialState.PRUNED),
            ("diverged", TrialState.PRUNED),
            ("infeasible", TrialState.PRUNED),
            ("failed", TrialState.FAIL),
            ("running", TrialState.RUNNING),
        ],
    )
    def test_every_status_has_its_state(self, status: str, state: TrialState) -> None:
        assert reported(ENDS[status]).state is state
        assert reported(ENDS[status]).user_attrs == {"status": status, "key": proposal(0).net.key, "seed": 0}

    def test_every_status_is_covered(self) -> None:
        assert {*ENDS, "waiting"} == set(get_args(Status))

    def test_only_complete_trials_have_values_and_they_are_unchanged(self) -> None:
        assert reported(ENDS["complete"]).values == [0.25, 1e6]
        assert all(reported(ENDS[status]).values is None for status in ENDS if status != "complete")

    @pytest.mark.parametrize("status", ENDS)
    def test_constraints_are_always_set(self, status: str) -> None:
        assert reported(ENDS[status]).constraints == {"violation": ENDS[status].violation}

    def test_a_violated_constraint_on_results_is_reported(self) -> None:
        trial = reported(Outcome("complete", (0.25, 1e6), violation=0.125))
        assert trial.state is TrialState.COMPLETE
        assert trial.constraints == {"violation": 0.125}

    def test_a_finished_trial_is_not_running(self) -> None:
        strategy = OptunaStrategy(SPACE, OBJECTIVES, lambda seed: tpe(10, True, seed))
        for number, outcome in enumerate(ENDS.values()):
            strategy.learn(proposal(number), Outcome("running"))
            if outcome.status != "running":
                strategy.learn(proposal(number), outcome)
            strategy.propose(number + 1)
        # Trials that Optuna was asked for in between have no key.
        states = [trial.state for trial in strategy.study(9).trials if "key" in trial.user_attrs]
        assert len(states) == len(ENDS)
        assert states.count(TrialState.RUNNING) == 1

    def test_only_active_axes_are_parameters(self) -> None:
        strategy = OptunaStrategy(SPACE, OBJECTIVES, lambda seed: tpe(10, True, seed))
        gated = proposal(1, **{"unit.shortcut.kind": "exclusive_gate", "unit.shortcut.gate_bias": -1.5})
        strategy.learn(proposal(0), ENDS["complete"])
        strategy.learn(gated, ENDS["complete"])
        plain, other = (trial.params for trial in strategy.study(2).trials)
        # Place 1 of 1, 2, 4.
        assert plain == {"unit.shortcut.kind": "identity", "stages.*.units": 1}
        assert other == plain | {"unit.shortcut.kind": "exclusive_gate", "unit.shortcut.gate_bias": -1.5}

    @pytest.mark.parametrize(("make", "kind"), [(nsga2, NSGAIISampler), (nsga3, NSGAIIISampler)])
    def test_generations_are_those_that_optuna_would_count(self, make: Any, kind: Any) -> None:
        strategy = OptunaStrategy(SPACE, OBJECTIVES, lambda seed: make(4, seed))
        for number in range(10):
            # A trial that did not complete belongs to no generation.
            ends = [ENDS["diverged"], Outcome("complete", (0.1 + 0.01 * number, 1e6))]
            strategy.learn(proposal(number), ends[number != 2])
        study = strategy.study(10)
        assert isinstance(study.sampler, kind)
        generations = [[trial.number for trial in study.sampler.get_population(study, at)] for at in range(3)]
        assert generations == [[0, 1, 3, 4], [5, 6, 7, 8], [9]]
        best = [trial.number for trial in study.sampler.get_parent_population(study, 1)]
        assert sorted(best) == generations[0]


class TestScales:
    def test_numbers_keep_their_order(self) -> None:
        for axis in (Choices.of([4, 1, 2]), Range(low=1, high=4, integer=True, log=True)):
            assert scale(axis).distribution == IntDistribution(0, 2)
            assert [scale(axis).place(value) for value in (1, 2, 4)] == [0, 1, 2]
            assert [scale(axis).member(place) for place in (0, 1, 2)] == [1, 2, 4]

    def test_a_continuous_range_stays_continuous(self) -> None:
        assert scale(Range(low=0.1, high=10, log=True)).distribution == FloatDistribution(0.1, 10, log=True)

    @pytest.mark.parametrize("values", [["a", "b"], [True, False], [1, "1"], ["a", [1, 2], {"kind": "basic"}]])
    def test_unordered_values_are_categories(self, values: list[Any]) -> None:
        found = scale(Choices.of(values))
        assert isinstance(found.distribution, CategoricalDistribution)
        assert [found.member(found.place(value)) for value in values] == values

    def test_numbers_are_shown_as_they_are(self) -> None:
        assert shown(Choices.of([4, 1, 2])).distribution == IntDistribution(1, 4)
        assert shown(Choices.of([0.25, 0.5, 1])).distribution == FloatDistribution(0.25, 1)
        assert shown(Range(low=0.5, high=2, step=0.5)).place(1.5) == 1.5


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'optuna.db'}"


@pytest.fixture
def load(url: str) -> Iterator[Callable[[], dict[str, optuna.Study]]]:
    """The studies of the storage, by name."""
    storage = optuna.storages.RDBStorage(url)
    yield lambda: {
        name: optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)
    }
    storage.remove_session()
    storage.engine.dispose()


class TestStorage:
    @pytest.fixture
    def history(self) -> list[tuple[Proposal, Outcome]]:
        return [(proposal(number), outcome) for number, outcome in enumerate(ENDS.values())]

    def test_every_trial_is_stored_with_its_values_and_names(self, url: str, load: Any, history: Any) -> None:
        write_storage(url, "shortcuts", SPACE, OBJECTIVES, reversed(history))
        study = load()["shortcuts"]
        assert study.metric_names == list(OBJECTIVES)
        assert [trial.user_attrs["status"] for trial in study.trials] == list(ENDS)
        assert study.trials[0].values == [0.25, 1e6]
        assert study.trials[0].params == {"unit.shortcut.kind": "identity", "stages.*.units": 2}
        assert [trial.constraints["violation"] for trial in study.trials] == [0, 0, 0, 0, 0.5, 0]

    def test_a_study_with_the_same_name_is_replaced_and_others_stay(self, url: str, load: Any, history: Any) -> None:
        write_storage(url, "one", SPACE, OBJECTIVES, history)
        write_storage(url, "other", SPACE, OBJECTIVES, history)
        write_storage(url, "one", SPACE, OBJECTIVES, history[:2])
        assert {name: len(study.trials) for name, study in load().items()} == {"one": 2, "other": len(ENDS)}

    def test_one_objective_gives_a_single_objective_study(self, url: str, load: Any) -> None:
        write_storage(url, "one", SPACE, ("error",), [(proposal(0), Outcome("complete", (0.25,)))])
        assert load()["one"].best_value == 0.25

    def test_a_trial_that_does_not_fit_is_refused(self, url: str) -> None:
        with pytest.raises(InputError, match=r"trial 0: 1 values for error, macs"):
            write_storage(url, "one", SPACE, OBJECTIVES, [(proposal(0), Outcome("complete", (0.25,)))])
        alien = Proposal(0, proposal(0).assignment | {"stages.*.units": 3}, proposal(0).net)
        with pytest.raises(InputError, match=r"stages.\*.units: unknown value 3"):
            write_storage(url, "one", SPACE, OBJECTIVES, [(alien, Outcome("pruned"))])

    @pytest.mark.parametrize("place", ["nowhere", "sqlite:////no/such/folder/x.db", "alien://x"])
    def test_a_url_that_is_not_a_storage_is_refused(self, place: str) -> None:
        with pytest.raises(InputError, match="storage"):
            write_storage(place, "one", SPACE, OBJECTIVES, [])
