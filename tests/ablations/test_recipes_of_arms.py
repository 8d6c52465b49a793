"""Arms that differ in recipe or data: their trials, their plan, their results, and what wrong ones get."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from verbs import Cli

from ablations.across.run import RunAcross
from ablations.plan import AblationPlan
from ablations.run import AblationRun
from ablations.study import Ablation
from resnet_space import api
from resnet_space.errors import InputError
from search.data import DataSet, Images, load
from search.running.plan import start_run
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

TINY = {"width": 0.25, "stages.*.units": 1}
RECIPE = {"epochs": 1, "batch_size": 64, "schedule": "constant", "lr": 0.05}


def study(arms: dict[str, Any], **fields: Any) -> Ablation:
    given = {
        "name": "rates",
        "net": "resnet20",
        "set": TINY,
        "arms": {"base": {}, **{name: {"set": changes} for name, changes in arms.items()}},
        "baseline": "base",
        "data": {"name": "digits", "limit": 200},
        "recipe": RECIPE,
        "seeds": 2,
        **fields,
    }
    return Ablation.of(given)


def test_an_arm_has_the_recipe_of_the_study_with_its_own_changes(digits: Images) -> None:
    plan = AblationPlan.of(
        study({"high": {"recipe.lr": 0.2}}, set={**TINY, "recipe.momentum": 0.8, "recipe.lr": 0.1}), digits
    )
    found = {name: (setup.recipe.lr, setup.recipe.momentum) for name, setup in plan.setups.items()}
    assert found == {"base": (0.1, 0.8), "high": (0.2, 0.8)}
    assert len({net.key for net in plan.architectures.values()}) == 1
    assert len(plan.trials) == 4


def test_a_recipe_of_an_arm_replaces_that_of_the_study(digits: Images) -> None:
    plan = AblationPlan.of(study({"own": {"recipe": "digits", "recipe.epochs": 2}}), digits)
    assert plan.setups["own"].recipe == Recipe(epochs=2, batch_size=64)


def test_arms_with_the_same_network_recipe_and_data_are_trained_once(digits: Images) -> None:
    arms = {"same": {"recipe.lr": 0.05}, "whole": {"data.limit": 200}, "other": {"recipe.lr": 0.1}}
    plan = AblationPlan.of(study(arms), digits)
    assert plan.folded == [("base", "same", "whole")]
    assert plan.notices == ["the same network, trained once: base = same = whole"]
    assert len(plan.trials) == 4


def test_factors_may_be_paths_of_the_recipe(digits: Images) -> None:
    factors = {
        "rate": {"path": "recipe.lr", "levels": [0.05, 0.2]},
        "training": {"levels": {"short": {"recipe.epochs": 1}, "long": {"recipe.epochs": 2, "recipe.nesterov": True}}},
    }
    design = {"arms": {}, "factors": factors, "design": "factorial", "baseline": {}}
    made = Ablation.of(study({}).to_dict() | design)
    found = {name: setup.recipe for name, setup in AblationPlan.of(made, digits).setups.items()}
    assert {name: (each.lr, each.epochs, each.nesterov) for name, each in found.items()} == {
        "rate=0.05, short": (0.05, 1, False),
        "rate=0.05, long": (0.05, 2, True),
        "rate=0.2, short": (0.2, 1, False),
        "rate=0.2, long": (0.2, 2, True),
    }


def test_a_study_without_paths_of_recipe_or_data_has_the_trials_of_earlier_versions(digits: Images) -> None:
    made = study({"none": {"unit.shortcut": "none"}})
    plan = AblationPlan.of(made, digits)
    assert [*plan.trials] == [
        TrialSpec(
            architecture=net, recipe=made.recipe, data=made.dataset, fingerprint=digits.fingerprint, seed=seed
        ).key
        for seed in range(2)
        for net in plan.architectures.values()
    ]


def test_trials_of_different_recipes_are_never_in_one_job(digits: Images) -> None:
    few = DataSet(name="digits", limit=100)
    made = study({"high": {"recipe.lr": 0.2}, "few": {"data.limit": 100}}, resources={"fuse": 4})
    plan = AblationPlan.of(made, digits, variants={few: load(few)})
    jobs = plan.jobs(plan.first, workers=1)
    assert [len(job.trials) for job in jobs] == [2, 2, 2]
    assert all(len({(spec.recipe, spec.data) for spec in job.trials}) == 1 for job in jobs)


def test_probes_and_lengths_are_those_of_the_arms_own_epochs(digits: Images) -> None:
    plan = AblationPlan.of(study({"long": {"recipe.epochs": 3}}, diagnostics="propagation"), digits)
    by_arm = {job.probes: {spec.recipe.epochs for spec in job.trials} for job in plan.jobs(plan.first, workers=1)}
    assert by_arm == {(0, 1): {1}, (0, 3): {3}}
    assert (sorted(plan.lengths), plan.steps) == ([4, 12], 12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe.lrr": 1}, "arms.wrong: recipe.lrr: unknown field 'lrr'; did you mean 'lr'? allowed: epochs, "),
        ({"recipe.lr": "much"}, "arms.wrong: recipe.lr: must be a number, not 'much'"),
        ({"data.root": "/data"}, "arms.wrong: data.root: is where the data are, not which data"),
        ({"data.name": "cifar10"}, "arms.wrong: data.name: names another data set; within a study all arms have the "),
    ],
)
def test_a_wrong_path_or_value_of_an_arm_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        study({"wrong": changes})
    assert str(refused.value).startswith(message)


def test_a_batch_that_an_arm_sets_is_at_most_the_training_set(digits: Images) -> None:
    with pytest.raises(InputError) as refused:
        AblationPlan.of(study({"large": {"recipe.batch_size": 512}}), digits)
    assert str(refused.value) == (
        "arms.large: recipe.batch_size: 512 is more than the 200 training images; give at most 200"
    )


def test_data_with_other_test_images_are_refused_with_what_to_do() -> None:
    fake = {"name": "fake", "size": 8, "samples": 60, "classes": 3}
    for changes in ({"data.samples": 90}, {"data.classes": 4}, {"data.test": 0.3}):
        with pytest.raises(InputError) as refused:
            api.plan(study({"other": changes}, data=fake, recipe={"epochs": 1, "batch_size": 16}))
        text = str(refused.value)
        assert text.startswith(f"arms.other: {next(iter(changes))}: ")
        assert "changes the test images or the classes" in text
        assert text.endswith("to repeat it on several data sets, give the study data: [a, b]")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> AblationRun:
    """A run of arms with two recipes, fewer images, and a gate."""
    arms = {
        "high": {"recipe.lr": 0.2},
        "long": {"recipe.epochs": 2, "recipe.batch_size": 32},
        "few": {"data.limit": 100},
        "gate": {"unit.shortcut": "exclusive_gate", "recipe.lr": 0.2},
    }
    made = study(arms, diagnostics="propagation", question="Which recipe?")
    run = api.run(made, tmp_path_factory.mktemp("runs") / "rates", inline=True, say=lambda line: None)
    assert isinstance(run, AblationRun)
    return run


def test_a_run_has_the_trials_of_each_arm_apart(finished: AblationRun) -> None:
    assert {arm.arm: (arm.n, arm.unfinished) for arm in finished.summaries} == dict.fromkeys(finished.setups, (2, 0))
    assert (len(finished.records), finished.others) == (10, 0)
    means = {arm.mean for arm in finished.summaries}
    assert len(means) == 5, "each arm has its own results"
    epochs = finished.curves.groupby("key")["epoch"].max()
    assert sorted(epochs) == [1] * 8 + [2] * 2


def test_arms_of_any_recipe_are_compared_within_seeds_and_image_by_image(finished: AblationRun) -> None:
    assert {found.arm: found.difference.n for found in finished.findings} == {
        "high": 2, "long": 2, "few": 2, "gate": 2,
    }  # fmt: skip
    predicted = finished.predicted
    assert list(predicted.arms) == list(finished.setups)
    assert (predicted.missing, predicted.unusable) == (0, 0)


def test_the_same_command_resumes_and_more_seeds_add_trials_of_every_arm(finished: AblationRun, tmp_path: Path) -> None:
    more = finished.study.model_copy(update={"seeds": 3})
    folder = shutil.copytree(finished.folder.path, tmp_path / "more")
    run = api.run(more, folder, inline=True, say=lambda line: None)
    assert isinstance(run, AblationRun)
    assert {arm.n for arm in run.summaries} == {3}
    before = {record.key: record.test_error for record in finished.records}
    assert before.items() <= {record.key: record.test_error for record in run.records}.items()


def test_every_verb_that_reads_a_run_takes_one_with_several_recipes(finished: AblationRun, resnet_space: Cli) -> None:
    folder = finished.folder.path
    status = json.loads(resnet_space("status", folder, "--json").out)
    assert status["complete"] >= 10
    assert "left_out" not in status or not status["left_out"]
    rows = json.loads(resnet_space("front", folder, "--format", "json").out)
    assert all(set(row["recipe"]) == {"recipe.epochs", "recipe.batch_size", "recipe.lr", "data.limit"} for row in rows)
    assert resnet_space("export", folder, "--arm", "few", "--to", folder / "few.py").status == 0
    assert resnet_space("report", folder, "--format", "html,md,tex,csv").status == 0


def test_a_network_of_a_front_is_shown_with_its_best_recipe(finished: AblationRun, resnet_space: Cli) -> None:
    rows = json.loads(resnet_space("front", finished.folder.path, "--format", "json", "--objectives", "error").out)
    errors: dict[str, list[float]] = {}
    for record in finished.records:
        if record.validation_error is not None and record.seed < 2:
            errors.setdefault(record.setup, []).append(record.validation_error)
    [row] = rows
    setups = {setup.key: setup for setup in finished.setups.values()}
    best = setups[min(errors, key=lambda key: sum(errors[key]))]
    assert row["key"] == best.net.key
    assert (row["recipe"]["recipe.lr"], row["recipe"]["recipe.epochs"]) == (best.recipe.lr, best.recipe.epochs)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures of 16x16 pixels in two classes, with a test split of its own."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split, number in (("train", 24), ("test", 10)):
        for place, name in enumerate(("dark", "light")):
            (folder / split / name).mkdir(parents=True)
            for at in range(number):
                pixels = rng.random((16, 16, 3)) * 200 + place * 40
                Image.fromarray(pixels.astype("uint8")).save(folder / split / name / f"{at}.png")
    return folder


@pytest.fixture
def of_sizes(pictures: Path) -> Ablation:
    """The same pictures at another resolution, fewer of them, and a smaller validation split."""
    arms = {"large": {"data.size": 16}, "few": {"data.limit": 20}, "less validation": {"data.validation": 0.2}}
    data = {"name": "imagefolder", "root": str(pictures), "size": 8}
    return study(arms, data=data, recipe={"epochs": 2, "batch_size": 8})


def test_the_same_test_images_at_another_resolution_are_compared_image_by_image(
    of_sizes: Ablation, tmp_path: Path
) -> None:
    run = api.run(of_sizes, tmp_path / "run", inline=True, say=lambda line: None)
    assert isinstance(run, AblationRun)
    assert {name: net.input_shape for name, net in run.nets.items()} == {
        "base": (3, 8, 8), "large": (3, 16, 16), "few": (3, 8, 8), "less validation": (3, 8, 8),
    }  # fmt: skip
    assert {arm.arm: arm.outcomes for arm in run.summaries} == dict.fromkeys(run.nets, 2)
    assert list(run.predicted.arms) == list(run.nets)
    assert run.predicted.unusable == 0
    assert [variant["data"]["size"] for variant in run.folder.variants] == [16, 8, 8]
    again = api.open_run(tmp_path / "run")
    assert isinstance(again, AblationRun)
    assert [setup.key for setup in again.setups.values()] == [setup.key for setup in run.setups.values()]


def test_a_run_is_not_resumed_with_other_data_of_an_arm(of_sizes: Ablation, tmp_path: Path) -> None:
    plan = api.plan(of_sizes)
    with start_run(plan, tmp_path / "run"):
        pass
    manifest = tmp_path / "run" / "manifest.json"
    sessions = json.loads(manifest.read_text())
    facts = sessions["sessions"][0]["variants"][0]["facts"]
    facts |= {"fingerprint": "0" * 16, "splits": {**facts["splits"], "train": {"images": 40, "sha256": "0" * 16}}}
    manifest.write_text(json.dumps(sessions))
    other = r"'size': 16.*are of other data: they differ in train \(40 images stored, 43 now\); put the old data back"
    with pytest.raises(InputError, match=other), start_run(plan, tmp_path / "run"):
        pass


def test_arms_may_set_the_data_of_each_of_several_data_sets(tmp_path: Path) -> None:
    sets = [{"name": "fake", "size": 8, "samples": 60, "classes": classes} for classes in (2, 3)]
    made = study({"few": {"data.limit": 20}}, data=sets, recipe={"epochs": 1, "batch_size": 16}, seeds=1)
    run = api.run(made, tmp_path / "run", inline=True, say=lambda line: None)
    assert isinstance(run, RunAcross)
    limits = {label: {r.spec["data"]["limit"] for r in part.records} for label, part in run.parts.items()}
    assert list(limits.values()) == [{None, 20}, {None, 20}]
    assert run.others == 0
    assert api.status(tmp_path / "run").left_out == 0


def test_two_runs_are_compared_on_networks_with_the_same_changes(finished: AblationRun, tmp_path: Path) -> None:
    other = finished.study.model_copy(update={"recipe": {**RECIPE, "momentum": 0.8}})
    api.run(other, tmp_path / "other", inline=True, say=lambda line: None)
    both = api.compare(finished.folder.path, tmp_path / "other")
    assert sorted(map(both.named, both.common)) == sorted(finished.setups)
    assert all(both.difference(network).n == 2 for network in both.common)


@pytest.mark.slow
def test_arms_with_their_own_recipes_have_the_same_numbers_on_ray(
    finished: AblationRun, tmp_path: Path, ray_cluster: None
) -> None:
    run = api.run(finished.study, tmp_path / "run", say=lambda line: None)
    assert {r.key: r.test_error for r in run.records} == {r.key: r.test_error for r in finished.records}
