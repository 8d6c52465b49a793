"""Tuned arms from the first proposal to the last trial: budgets, resumption, jobs; with results that are made up."""

from collections import Counter
from pathlib import Path

import pytest
from tuned import ARMS, OPTIMA, end, error, feeding, made, run

from ablations.tune import FIRST_SEED
from ablations.tuning.plan import OWN, SHARED
from ablations.tuning.run import TunedRun
from resnet_space import api
from resnet_space.errors import InputError
from search.data import Images
from search.samplers.kinds import SAMPLERS
from search.store.store import Store
from search.trials.events import Started
from search.trials.trial import TrialSpec


def test_every_arm_tries_the_same_number_of_recipes_and_is_trained_at_both(digits: Images, tmp_path: Path) -> None:
    plan = made(digits)
    trained = run(plan, tmp_path / "run")
    tuning = Counter(spec.architecture.unit.shortcut.kind for spec in trained if spec.seed == FIRST_SEED)
    assert tuning == {"identity": 6, "exclusive_gate": 6}
    rest = [spec for spec in trained if spec.seed != FIRST_SEED]
    assert Counter(spec.seed for spec in rest) == {0: 4, 1: 4}
    assert len({spec.key for spec in trained}) == len(trained)


def test_an_arms_own_recipe_is_that_of_the_lowest_validation_error(digits: Images, tmp_path: Path) -> None:
    plan = made(digits)
    trained = run(plan, tmp_path / "run")
    found = api.open_run(tmp_path / "run")
    assert isinstance(found, TunedRun)
    assert found.own is not None
    for name, setup in found.own.setups.items():
        tried = [s for s in trained if s.seed == FIRST_SEED and s.architecture.key == setup.net.key]
        assert setup.recipe == min(tried, key=error).recipe, name
    assert set(found.parts) == {SHARED, OWN}
    assert found.others == 0
    assert found.counts["complete"] == len(trained)


def test_the_study_s_own_recipe_is_tried_first(digits: Images, tmp_path: Path) -> None:
    plan = made(digits)
    with feeding(plan, tmp_path / "run") as (feed, _):
        feed.next()
        assert all(search.tried[0].values == {"recipe.lr": plan.study.recipe.lr} for search in feed.searches.values())


def test_a_recipe_outside_of_the_axes_is_not_tried_and_this_is_said(digits: Images) -> None:
    plan = made(digits, tune={"axes": {"recipe.lr": [0.5, 1.0]}})
    assert "not in the axes, for base, gated" in plan.notices[-1]


def test_recipes_that_depend_on_no_results_come_together_so_that_arms_can_train_together(
    digits: Images, tmp_path: Path
) -> None:
    plan = made(digits, tune={"sampler": "random"})
    with feeding(plan, tmp_path / "run") as (feed, _):
        feed.begin(2)
        feed.next()
        asked = [search.tried for search in feed.searches.values()]
    assert [len(tried) for tried in asked] == [6, 6]
    assert [each.values for each in asked[0]] == [each.values for each in asked[1]]


def test_a_sampler_that_learns_is_asked_for_one_recipe_at_a_time(digits: Images, tmp_path: Path) -> None:
    plan = made(digits, tune={"sampler": {"kind": "tpe", "startup": 3}})
    with feeding(plan, tmp_path / "run") as (feed, _):
        feed.begin(8)
        jobs = []
        while (job := feed.next()) and any(spec.seed == FIRST_SEED for spec in job.trials):
            jobs.append(job)
        assert [len(search.tried) for search in feed.searches.values()] == [3, 3]


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "grid"])
def test_every_sampler_can_tune(digits: Images, tmp_path: Path, sampler: str) -> None:
    plan = made(digits, tune={"sampler": sampler, "trials": 3})
    assert sum(spec.seed == FIRST_SEED for spec in run(plan, tmp_path / "run")) == 6


def test_a_grid_ends_with_its_last_recipe(digits: Images, tmp_path: Path) -> None:
    plan = made(digits, tune={"sampler": "grid", "axes": {"recipe.lr": [0.01, 0.1, 0.5]}, "trials": 8})
    tuning = [spec.recipe.lr for spec in run(plan, tmp_path / "run") if spec.seed == FIRST_SEED]
    assert sorted(tuning) == [0.01, 0.01, 0.1, 0.1, 0.5, 0.5]


@pytest.mark.parametrize("stopped_after", [1, 5, 9, 13])
def test_a_stopped_run_asks_for_the_same_trials(digits: Images, tmp_path: Path, stopped_after: int) -> None:
    whole = {spec.key for spec in run(made(digits), tmp_path / "whole")}
    with feeding(made(digits), tmp_path / "stopped") as (feed, _):
        feed.begin(2)
        for _ in range(stopped_after):
            job = feed.next()
            if job:
                end(feed, job)
        if job := feed.next():
            feed.tell([Started(spec.key, "here", "cpu") for spec in job.trials])
    run(made(digits), tmp_path / "stopped")
    store = Store.at(tmp_path / "stopped", new=False)
    assert {record.key for record in store.records()} == whole
    assert {record.status for record in store.records()} == {"complete"}
    store.close()


def test_arms_that_are_the_same_at_every_recipe_are_tuned_once(digits: Images, tmp_path: Path) -> None:
    plan = made(digits, arms={**ARMS, "slow base": {"set": {"recipe.lr": 0.02}}})
    assert plan.budgets == [6, 6]
    assert sum(spec.seed == FIRST_SEED for spec in run(plan, tmp_path / "run")) == 12


def test_an_arm_none_of_whose_trials_is_complete_keeps_the_study_s_recipe(digits: Images, tmp_path: Path) -> None:
    def diverging(spec: TrialSpec) -> float | str:
        gated = spec.architecture.unit.shortcut.kind == "exclusive_gate"
        return "diverged" if gated and spec.seed == FIRST_SEED else error(spec)

    plan = made(digits)
    run(plan, tmp_path / "run", diverging)
    found = api.open_run(tmp_path / "run")
    assert isinstance(found, TunedRun)
    assert found.best["gated"] is None
    assert found.own is not None
    assert found.own.setups["gated"].recipe == plan.study.recipe


def test_an_own_recipe_that_is_the_shared_one_is_not_trained_again(digits: Images, tmp_path: Path) -> None:
    plan = made(digits, recipe={"base": "digits", "lr": OPTIMA["identity"]})
    rest = [spec for spec in run(plan, tmp_path / "run") if spec.seed != FIRST_SEED]
    assert Counter(spec.architecture.unit.shortcut.kind for spec in rest) == {"identity": 2, "exclusive_gate": 4}


def test_before_the_tuning_is_over_the_report_has_the_shared_recipe_only(digits: Images, tmp_path: Path) -> None:
    with feeding(made(digits), tmp_path / "run") as (feed, _):
        job = feed.next()
        assert job is not None
        end(feed, job)
    found = api.open_run(tmp_path / "run")
    assert isinstance(found, TunedRun)
    assert found.own is None
    assert "The tuning is not over" in api.document(found).answer


def test_a_batch_above_the_training_set_is_refused_before_the_run(digits: Images) -> None:
    with pytest.raises(InputError, match=r"tune.axes: recipe.batch_size: 512 is more than the 200 training images"):
        made(digits, tune={"axes": {"recipe.batch_size": [32, 512]}})
