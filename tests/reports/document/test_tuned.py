"""The document of a study with tuned arms: both answers, what changes between them, and the figures of the tuning."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from drawings import texts_in
from pages import blocks, table
from tuned import OPTIMA, made, run

from ablations.tune import FIRST_SEED
from ablations.tuning.run import TunedRun
from reports import html, latex, markdown
from reports.document.tuned import both_ways
from reports.page import Page, Picture
from resnet_space import api
from search.data import Images
from search.trials.trial import TrialSpec

SEEDS = 5


def noisy(spec: TrialSpec) -> float:
    """An error that is lowest at the optimum of the shortcut, with a little noise by seed."""
    from math import log10

    shortcut = spec.architecture.unit.shortcut.kind
    noise = 0.0 if spec.seed == FIRST_SEED else 0.002 * (spec.seed % 3 - 1) * (1 if shortcut == "identity" else -1)
    return 0.1 + noise + 0.1 * abs(log10(spec.recipe.lr / OPTIMA[shortcut]))


@pytest.fixture(scope="module")
def tuned(digits: Images, tmp_path_factory: pytest.TempPathFactory) -> TunedRun:
    """`gated` is worse at the shared rate of 0.01, and as good at its own rate of 0.5."""
    folder: Path = tmp_path_factory.mktemp("tuned") / "run"
    rates = {"axes": {"recipe.lr": [0.01, 0.05, 0.5]}, "sampler": "grid", "trials": 3}
    plan = made(digits, seeds=SEEDS, tune=rates, recipe={"base": "digits", "lr": 0.01}, planned={"compare": ["gated"]})
    run(plan, folder, noisy)
    found = api.open_run(folder)
    assert isinstance(found, TunedRun)
    return found


@pytest.fixture(scope="module")
def page(tuned: TunedRun) -> Page:
    return api.document(tuned)


def test_both_answers_are_given_and_what_depends_on_the_recipe(page: Page) -> None:
    assert page.answer.startswith("At the shared recipe: gated is worse than base, by 17")
    assert "Each at its own recipe: gated cannot be distinguished from base with 5 seeds." in page.answer
    assert page.answer.endswith("Of 1 comparison, at the arms' own recipes: 1 no longer resolved (gated).")


def test_the_table_has_both_differences_and_the_own_recipe(page: Page, tuned: TunedRun) -> None:
    found = table(page, tuned.study.name)
    rows = {row[0].text: [cell.text for cell in row] for row in found.rows}
    assert rows["gated"][3] == "recipe.lr=0.5"
    assert rows["gated"][2].endswith("*")
    assert not rows["gated"][5].endswith("*")
    assert rows["gated"][6] == "open"
    assert rows["base"][3] == "recipe.lr=0.01"
    assert len(tuned.study.all_arms) == len(found.rows)


def test_a_difference_that_is_open_on_one_side_is_no_other_conclusion(tuned: TunedRun) -> None:
    (both,) = both_ways(tuned)
    assert (both.changed, both.lost, both.gained) == (False, True, False)


def test_errors_are_drawn_against_each_axis_with_the_best_of_every_arm(page: Page) -> None:
    pictures = [block for block in blocks(page, "Tuning") if isinstance(block, Picture)]
    assert [picture.stem for picture in pictures] == ["tuning-recipe-lr", "tuning-budget"]
    axes = pictures[0].figure.axes[0]
    rings = [line for line in axes.lines if str(line.get_gid()).endswith("-best")]
    assert sorted(float(line.get_xdata()[0]) for line in rings) == [0.01, 0.5]
    assert axes.get_xscale() == "log"
    assert {"base", "gated"} <= set(texts_in(pictures[0].figure))


def test_each_recipe_has_the_sections_of_an_ablation(page: Page) -> None:
    headings = [section.heading for section in page.sections]
    assert {"Arms on shared recipe", "Arms on own recipes", "Tuning", "Setting"} <= set(headings)
    stems = [picture.stem for picture in page.pictures]
    assert len(set(stems)) == len(stems)


@pytest.mark.parametrize("render", [html.render, markdown.render, latex.render])
def test_every_format_renders_it(page: Page, render: Callable[[Page], str]) -> None:
    assert "recipe.lr=0.5" in render(page).replace("\\_", "_")


def test_the_csv_has_each_arm_twice_and_the_tuning_in_a_file_of_its_own(tuned: TunedRun) -> None:
    arms, tuning = (path.read_text() for path in api.report(tuned, ["csv"]))
    rows = [*csv.DictReader(io.StringIO(arms))]
    assert [(row["recipe"], row["arm"]) for row in rows] == [
        ("shared recipe", "base"),
        ("shared recipe", "gated"),
        ("own recipes", "base"),
        ("own recipes", "gated"),
    ]
    assert {row["own_recipe"] for row in rows if row["arm"] == "gated"} == {"recipe.lr=0.5"}
    tried = [*csv.DictReader(io.StringIO(tuning))]
    assert [row["recipe.lr"] for row in tried if row["best"] == "True"] == ["0.01", "0.5"]
    assert len(tried) == 6
