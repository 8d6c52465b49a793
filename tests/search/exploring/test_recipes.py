"""Searches over recipes and networks: trials, resuming, the front with best recipes, confirmation and importance."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from verbs import Cli

from resnet_space import api
from resnet_space.errors import InputError
from search.data import Images
from search.exploring.feed import SearchFeed
from search.exploring.plan import SearchPlan
from search.exploring.run import SearchRun
from search.exploring.study import Search
from search.files.folder import RunFolder
from search.fronts.front import Point, front
from search.running.plan import start_run
from search.running.progress import Progress
from search.store.store import Store
from search.trials.events import Finished, Started
from search.trials.trial import TrialSpec

LR = {"low": 0.01, "high": 1, "log": True}
AXES: dict[str, Any] = {"unit.shortcut.kind": ["identity", "none"], "recipe.lr": LR}


def study(axes: dict[str, Any] = AXES, **changes: Any) -> Search:
    whole = {
        "name": "joint",
        "kind": "search",
        "space": {"base": "resnet20", "set": {"width": 0.25, "stages.*.units": 1}, "axes": axes},
        "budget": {"trials": 12},
        "sampler": "random",
        "confirm": 2,
        "data": {"name": "digits", "limit": 200},
        "recipe": {"epochs": 1, "batch_size": 64},
    }
    return Search.of(whole | changes)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.at(tmp_path)
    yield store
    store.close()


def explore(study: Search, images: Images, store: Store) -> SearchFeed:
    plan = SearchPlan.of(study, images)
    return SearchFeed(plan, store, Progress(total=0, already=0, steps=plan.steps))


def error(spec: TrialSpec) -> float:
    """The least for a learning rate of 0.1, and smaller with identity shortcuts."""
    plain = spec.architecture.unit.shortcut.kind == "none"
    return 0.1 + 0.05 * abs(math.log10(spec.recipe.lr) + 1) + 0.02 * plain


def drive(feed: SearchFeed, most: int = 100) -> list[TrialSpec]:
    """Report the `error` of up to `most` trials; fresh seeds are unlucky."""
    begun = []
    while len(begun) < most and (job := feed.next()):
        (spec,) = job.trials
        begun.append(spec)
        found = error(spec) + 0.3 * (spec.seed > 0)
        end = Finished(spec.key, "complete", "", found, found, latency_ms=1.0, seconds=1.0)
        feed.tell([Started(spec.key, "host", "cpu"), end])
    return begun


def points(feed: SearchFeed) -> list[Point]:
    own = feed.plan.identities(feed.store)
    return front(feed.store.results(own), "error,macs", seeds=feed.study.confirmation_seeds, bootstrap=0)


def test_the_front_has_each_network_with_its_best_recipe_and_confirms_that(digits: Images, store: Store) -> None:
    feed = explore(study({"recipe.lr": LR}), digits, store)
    trials = drive(feed)
    searched, confirming = trials[:12], trials[12:]
    best = min(searched, key=error)
    assert [(spec.architecture.key, spec.recipe, spec.seed) for spec in confirming] == [
        (best.architecture.key, best.recipe, seed) for seed in (1, 2)
    ]
    [point] = points(feed)
    assert (point.key, point.training) == (best.architecture.key, best.identity.training)
    assert point.confirmed
    # Other recipes of this network have smaller errors now, each by one lucky seed.
    assert point.error == pytest.approx(error(best) + 0.3)


@pytest.mark.parametrize("sampler", ["random", "tpe", "local"])
def test_a_search_that_was_stopped_asks_for_the_same_recipes(sampler: str, digits: Images, tmp_path: Path) -> None:
    asked = {}
    for name, stops in (("whole", [100]), ("stopped", [5, 3, 100])):
        there = Store.at(tmp_path / name) if (tmp_path / name).mkdir() is None else None
        assert there is not None
        asked[name] = [
            spec.key for most in stops for spec in drive(explore(study(sampler=sampler), digits, there), most)
        ]
        there.close()
    assert asked["stopped"] == asked["whole"]


def test_a_resumed_search_over_more_axes_keeps_the_trials_of_those_it_had(digits: Images, store: Store) -> None:
    drive(explore(study(), digits, store))
    feed = explore(study({**AXES, "recipe.momentum": [0.8, 0.9]}, budget={"trials": 15}), digits, store)
    assert len(drive(feed)) >= 3
    assert feed.begun == 15


def test_trials_of_another_fixed_recipe_in_the_same_database_are_foreign(digits: Images, store: Store) -> None:
    drive(explore(study(), digits, store))
    other = study(recipe={"epochs": 1, "batch_size": 32})
    feed = explore(other, digits, store)
    assert (feed.begun, len(points(feed))) == (0, 0)
    assert len(drive(feed)) >= 12


def test_a_search_without_axes_of_the_recipe_takes_trials_of_an_earlier_version(digits: Images, store: Store) -> None:
    only = study({"unit.shortcut.kind": ["identity", "none", "conv1x1"]}, budget={"trials": 3}, confirm=0)
    drive(explore(only, digits, store))
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trials SET training = NULL")
    feed = explore(only, digits, store)
    assert (feed.begun, drive(feed)) == (3, [])
    wider = explore(study({**AXES, "recipe.lr": [0.1, 0.2]}, budget={"trials": 4}, confirm=0), digits, store)
    assert wider.begun == 2, "those of the two networks that the space has, with the recipe of the study"


def test_trials_read_the_data_where_they_are_now(digits: Images, store: Store) -> None:
    def at(root: str) -> Search:
        return study({"recipe.lr": LR}, data={"name": "npz", "root": root}, budget={"trials": 4})

    before = explore(at("/before"), digits, store)
    drive(before, 2)
    assert before.next() is not None, "a trial that is stopped before its end"
    left = drive(explore(at("/now"), digits, store))
    assert [spec.seed for spec in left] == [0, 0, 1, 2], "two of the search, and two that confirm its best recipe"
    assert {spec.data.root for spec in left} == {"/now"}


def test_a_search_trains_with_the_limits_of_its_axis(tmp_path: Path) -> None:
    made = study({"data.limit": [60, 120], "recipe.batch_size": [32, 64]}, budget={"trials": 4}, confirm=0)
    run = api.run(made, tmp_path / "run", inline=True, say=lambda line: None)
    assert isinstance(run, SearchRun)
    assert run.counts["complete"] == 4
    found = {(record.spec["data"]["limit"], record.spec["recipe"]["batch_size"]) for record in run.records}
    assert found == {(60, 32), (60, 64), (120, 32), (120, 64)}
    assert len({record.spec["fingerprint"] for record in run.records}) == 2
    assert {*run.recipes[run.front[0].key]} == {"data.limit", "recipe.batch_size"}


@pytest.fixture
def finished(digits: Images, tmp_path: Path) -> Path:
    """The folder of a search of 30 trials with the results of `error`."""
    made = study({**AXES, "recipe.momentum": [0.8, 0.9]}, budget={"trials": 30})
    plan = SearchPlan.of(made, digits)
    with start_run(plan, tmp_path / "run") as (folder, store):
        drive(SearchFeed(plan, store, Progress(total=0, already=0, steps=plan.steps)))
    assert isinstance(folder, RunFolder)
    return tmp_path / "run"


def test_the_importance_of_axes_of_recipe_and_network_is_ranked_together(finished: Path) -> None:
    run = api.open_run(finished)
    assert isinstance(run, SearchRun)
    of_error = run.importance[run.importance["objective"] == "error"].set_index("axis")["importance"]
    assert list(of_error.index) == ["unit.shortcut.kind", "recipe.lr", "recipe.momentum"]
    assert of_error.idxmax() == "recipe.lr"
    assert of_error["recipe.momentum"] < 0.1


def test_every_verb_shows_the_recipe_of_a_network_on_the_front(finished: Path, resnet_space: Cli) -> None:
    [row] = json.loads(resnet_space("front", finished, "--format", "json").out)
    assert set(row["recipe"]) == {"recipe.lr", "recipe.momentum"}
    assert row["recipe"]["recipe.lr"] == pytest.approx(0.1, abs=0.05)
    shown = resnet_space("front", finished).out
    assert f"lr={row['recipe']['recipe.lr']:g}" in shown.replace("\n", "")
    few = json.loads(resnet_space("front", finished, "--where", "recipe.lr <= 0.02", "--format", "json").out)
    assert few == [], "the network's best recipe has a larger learning rate"
    assert resnet_space("report", finished, "--format", "html,md,tex,csv").status == 0
    assert json.loads(resnet_space("status", finished, "--json").out)["left_out"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"axes": {"recipe.lrr": [1]}},
            "space.axes: recipe.lrr: unknown field 'recipe.lrr'; did you mean 'recipe.lr'?",
        ),
        (
            {"axes": {"recipes.lr": [1]}},
            "space.axes: recipes.lr: unknown field 'recipes.lr'; did you mean 'recipe.lr'?",
        ),
        ({"axes": {"recipe.lr": [-1]}}, "space.axes: recipe.lr: must be greater than 0, not -1"),
        ({"axes": {"data.root": ["/a"]}}, "space: axes.data.root: is where the data are, not which data"),
        ({"axes": AXES, "set": {"recipe.lrr": 1}}, "space: set: recipe.lrr: unknown field 'lrr'; did you mean 'lr'?"),
        ({"axes": AXES, "set": {"data.limit": 9}}, "space.set.data.limit: a search has the same data for all networks"),
        (
            {"axes": AXES, "constraints": ["recipe.lrr < 1"]},
            "space: constraints: recipe.lrr < 1: column 1: unknown name ",
        ),
    ],
)
def test_a_wrong_axis_is_named_with_what_is_allowed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        study(space={"base": "resnet20", **changes})
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (
            {"data.limit": [100, 5000]},
            "space.axes.data.limit: 5000 is more than the 1258 training images; ",
        ),
        ({"recipe.batch_size": [64, 500]}, "space.axes: recipe.batch_size: 500 is more than the 200 training images"),
    ],
)
def test_limits_and_batches_are_at_most_the_training_set(axes: dict[str, Any], message: str, digits: Images) -> None:
    with pytest.raises(InputError) as refused:
        SearchPlan.of(study(axes), digits)
    assert str(refused.value).startswith(message)


def test_trials_of_different_lengths_are_not_stopped_early() -> None:
    with pytest.raises(InputError) as refused:
        study({"recipe.epochs": [2, 4]}, stopping="asha")
    assert str(refused.value) == (
        "stopping: asha compares trials at the same epoch, and recipe.epochs in space.axes changes how many epochs "
        "they have; leave one of the two out"
    )
    study({"recipe.batch_size": [32, 64]}, stopping="asha", recipe={"epochs": 4})
    with pytest.raises(InputError, match=r"recipe\.batch_size in space\.axes changes how many epochs"):
        study({"recipe.batch_size": [32, 64]}, stopping="asha", recipe={"steps": 40})
