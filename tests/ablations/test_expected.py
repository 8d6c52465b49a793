"""What is expected before a run: by a table, or by the results of a pilot run."""

from __future__ import annotations

from collections.abc import Callable
from statistics import stdev
from typing import TYPE_CHECKING

import pytest

from ablations.expected import TYPICAL, Expected, from_run, from_table
from resnet_space.api.folders import open_folder
from resnet_space.errors import InputError
from search.data import DATASETS
from search.measures.catalogue import MEASURES, Measure

if TYPE_CHECKING:
    from ablations.run import AblationRun

Runs = Callable[..., "AblationRun"]


TEST_ERROR = MEASURES["test_error"]


def expected(run: AblationRun, images: int = 359, measure: Measure = TEST_ERROR) -> Expected | None:
    with open_folder(run.folder.path) as stored:
        return from_run(run.study, measure, run.setups, images, stored)


def test_every_row_of_the_table_is_a_data_set_and_has_a_source() -> None:
    assert set(TYPICAL) <= {name for name, row in DATASETS.items() if row.classes}
    assert all(row.source and 0 < row.std < row.error < 1 for row in TYPICAL.values())


def test_cifar_10_is_expected_as_published_and_at_least_with_the_spread_of_sampling() -> None:
    found = from_table("cifar10", TEST_ERROR, 10_000)
    assert found is not None
    assert found.error == 0.0661
    assert found.spread * 0.0661 * (1 - 0.0661) == pytest.approx(0.0016)
    assert found.sampled(0.0661)
    assert found.std(0.0661) == pytest.approx((0.0661 * 0.9339 / 10_000) ** 0.5)
    many = from_table("cifar10", TEST_ERROR, 10**6)
    assert many is not None
    assert not many.sampled(0.0661)
    assert many.std(0.0661) == pytest.approx(0.0016)


def test_nothing_is_expected_on_the_data_of_a_user() -> None:
    assert from_table("npz", TEST_ERROR, 1000) is None


def test_a_pilot_gives_the_errors_of_its_arms_and_the_spread_that_they_share(ablation: Runs) -> None:
    results = {"base": [0.20, 0.17, 0.14], "one": [0.15, 0.17, 0.19], "two": [0.14, 0.17, 0.20]}
    found = expected(ablation(results, planned={"compare": ["one"]}, fail_above=0.5), images=10_000)
    assert found.errors == pytest.approx({"base": 0.17, "one": 0.17, "two": 0.17})
    assert found.error == pytest.approx(0.17)
    assert found.std(0.17) == pytest.approx(stdev([0.14, 0.17, 0.20]), rel=0.25)
    assert found.source.startswith("9 trials of 3 networks in ")
    assert "recipe" not in found.source


def test_arms_of_a_pilot_that_fail_say_nothing_about_the_spread(ablation: Runs) -> None:
    good = {"base": [0.05, 0.06, 0.05], "one": [0.05, 0.05, 0.06]}
    alone = expected(ablation(good, folder="good"))
    bad = {"fails": [0.8, 0.3, 0.6], "diverges": ["diverged"] * 3, "once": [0.05, 0.06, 0.9], "lost": ["failed"] * 3}
    found = expected(ablation({**good, **bad}, folder="bad"))
    assert set(found.errors) == {"base", "one", "once"}
    assert found.errors["once"] == pytest.approx(0.055)
    assert found.spread == pytest.approx(alone.spread, rel=0.2)


def test_a_pilot_with_one_seed_shows_no_spread(ablation: Runs) -> None:
    assert expected(ablation({"base": [0.05], "one": [0.06]})) is None


def test_the_table_has_no_training_errors_and_a_pilot_has(ablation: Runs) -> None:
    assert from_table("cifar10", MEASURES["train_error"], 45_000) is None
    run = ablation({"base": [0.05, 0.06], "one": [0.06, 0.05]}, epochs=2, measures=["train_error"])
    found = expected(run, images=200, measure=MEASURES["train_error"])
    assert found is not None
    assert found.error == pytest.approx(0.25)


def test_a_pilot_on_another_data_set_is_refused(ablation: Runs) -> None:
    run = ablation({"base": [0.05, 0.06], "one": [0.06, 0.05]})
    study = run.study.model_copy(update={"data": run.study.data.model_copy(update={"name": "cifar10"})})
    with (
        open_folder(run.folder.path) as stored,
        pytest.raises(InputError, match=r"its data set is 'digits', and the study's is 'cifar10'"),
    ):
        from_run(study, TEST_ERROR, {}, 10_000, stored)


def test_a_pilot_with_another_recipe_is_named_as_such(ablation: Runs) -> None:
    run = ablation({"base": [0.05, 0.06], "one": [0.06, 0.05]})
    study = run.study.model_copy(update={"recipe": run.study.recipe.model_copy(update={"epochs": 99})})
    with open_folder(run.folder.path) as stored:
        assert from_run(study, TEST_ERROR, {}, 359, stored).source.endswith(", with another recipe")


def test_an_error_of_zero_in_a_pilot_counts_as_half_an_image(ablation: Runs) -> None:
    found = expected(ablation({"base": [0.0, 0.0], "one": [0.0, 0.0]}))
    assert found.errors["base"] == 0.5 / 359
    assert found.std(found.error) > 0
