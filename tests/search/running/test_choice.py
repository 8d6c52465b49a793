"""Find a network of a run by the name of its arm or by its key, with the weights of one seed or of all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_space import api
from resnet_space.api.folders import open_folder
from resnet_space.api.studies import load
from resnet_space.errors import InputError
from search.data import DataSet, normalise
from search.data import load as images
from search.running.choice import NOT_MEASURED, OTHER_DIVISION, Choice
from search.running.choice import choose as choose_stored
from search.training.export import load_trained

CHANGES = {"width": 0.125, "stages.*.units": 1, "recipe.epochs": 1}
ARM = next(iter(load("transitions").model_dump()["arms"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Transitions A, B and C in the smallest network, three seeds each."""
    out = tmp_path_factory.mktemp("choice") / "run"
    api.run(load("transitions", changes=CHANGES | {"seeds": 3}), out, inline=True)
    return out


def choose(folder: Path, name: str, **options: Any) -> Choice:
    with open_folder(folder) as stored:
        return choose_stored(stored, name, **options)


def trials(folder: Path, name: str) -> list[tuple[float, int]]:
    """The validation error and the seed of each complete trial of an arm, sorted."""
    key = choose(folder, name).net.key
    records = api.open_run(folder).records
    return sorted((record.validation_error or 0.0, record.seed) for record in records if record.architecture == key)


def test_an_arm_is_found_by_its_name_and_by_its_key(folder: Path) -> None:
    study = load("transitions")
    name = next(iter(study.model_dump()["arms"]))
    by_name = choose(folder, name)
    assert choose(folder, by_name.net.key) == by_name
    assert choose(folder, by_name.net.key[:8]) == by_name


def test_the_weights_are_those_of_the_seed_with_the_median_validation_error(folder: Path) -> None:
    error, seed = trials(folder, ARM)[1]
    choice = choose(folder, ARM)
    (weights,) = choice.weights
    assert weights.is_file()
    assert weights.parent.name == choice.facts["trial"]
    assert (choice.facts["validation_error"], choice.facts["seed"]) == (error, seed)
    assert choice.notes == [
        f"seed {seed}, the median of the validation errors of seeds 0, 1, 2; another one by --seed, all together by "
        "--ensemble"
    ]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_seed_can_be_chosen(seed: int, folder: Path) -> None:
    choice = choose(folder, ARM, seed=seed)
    assert (choice.facts["validation_error"], seed) in trials(folder, ARM)
    assert (choice.facts["seed"], choice.notes) == (seed, [])


def test_a_seed_without_a_complete_trial_is_refused_with_the_others(folder: Path) -> None:
    with pytest.raises(InputError, match=rf"--seed 7: --arm {ARM} has no complete trial with it; complete: 0, 1, 2$"):
        choose(folder, ARM, seed=7)


def test_if_the_median_seed_has_no_weights_the_nearest_one_is_taken_and_named(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    median = choose(copy, ARM)
    median.weights[0].unlink()  # type: ignore[call-arg]  # a path
    choice = choose(copy, ARM)
    assert choice.facts["seed"] == trials(copy, ARM)[0][1]
    (note,) = choice.notes
    assert note.startswith(f"seed {choice.facts['seed']}, the nearest one with weights to the median of ")
    assert note.endswith(f"which is seed {median.facts['seed']}")


def test_an_ensemble_has_all_seeds_and_the_error_of_the_mean_probabilities(folder: Path) -> None:
    choice = choose(folder, ARM, ensemble=True)
    assert [weights.parent.name for weights in choice.weights] == [
        choose(folder, ARM, seed=seed).facts["trial"] for seed in range(3)
    ]
    test = images(DataSet(name="digits"))
    x = normalise(test.test.x, test.mean, test.std)
    with torch.no_grad():
        outputs = [load_trained(choice.net, weights)(x).softmax(1) for weights in choice.weights]
    wrong = (sum(outputs, torch.zeros(())).argmax(1) != test.test.y).double().mean().item()
    assert choice.facts["test_error"] == pytest.approx(wrong)
    assert (choice.facts["members"], choice.facts["seeds"], choice.notes) == (3, "0, 1, 2", [])


def test_without_the_data_the_error_of_an_ensemble_is_not_measured_and_that_is_noted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.data.loading.load_if_ready", lambda *_, **__: None)
    choice = choose(folder, ARM, ensemble=True)
    assert "test_error" not in choice.facts
    assert choice.notes == [NOT_MEASURED]


def test_an_ensemble_of_trials_on_different_divisions_of_the_data_is_refused(tmp_path: Path) -> None:
    api.run(load("transitions", changes=CHANGES | {"seeds": 2, "data.split": "seed"}), tmp_path / "run", inline=True)
    with pytest.raises(InputError, match="--ensemble: each seed has its own division of the data"):
        choose(tmp_path / "run", ARM, ensemble=True)


def test_errors_of_mirror_images_are_said_to_be_that(tmp_path: Path) -> None:
    changes = CHANGES | {"seeds": 1, "recipe.augmentation": {"test_flip": True}}
    api.run(load("transitions", changes=changes), tmp_path / "run", inline=True)
    assert choose(tmp_path / "run", ARM).facts["errors_by"] == (
        "the mean of the logits of each image and of its mirror image"
    )


def test_the_facts_say_where_the_network_is_from(folder: Path) -> None:
    facts = choose(folder, ARM).facts
    assert (facts["study"], facts["arm"], facts["data"]) == ("transitions", ARM, "digits")
    assert facts["fingerprint"] == images(DataSet(name="digits")).fingerprint
    assert json.loads(str(facts["recipe"]))["epochs"] == 1
    assert 0 <= float(facts["test_error"]) <= 1
    assert 0 <= float(facts["top5_error"]) <= float(facts["test_error"])
    assert {"depth", "params", "macs", "torch version", "device"} <= facts.keys()
    assert "errors_by" not in facts, "measured as the exported network computes"


@pytest.mark.parametrize("name", ["nobody", ""])
def test_an_unknown_name_is_refused_with_the_existing_names(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match="--arm: unknown network"):
        choose(folder, name)


def test_a_network_of_a_seed_with_its_own_division_has_the_mean_of_its_own_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.run(load("transitions", changes=CHANGES | {"seeds": 3, "data.split": "seed"}), tmp_path / "run", inline=True)
    arms = list(load("transitions").model_dump()["arms"])
    found = [choose(tmp_path / "run", arm) for arm in arms]
    for choice in found:
        assert choice.inputs
        own = images(DataSet(name="digits", split="seed"), seed=int(choice.facts["seed"]))
        assert (choice.inputs.mean, choice.inputs.std) == (own.mean, own.std)
    monkeypatch.setattr("search.data.loading.load_if_ready", lambda *_, **__: None)
    choice = choose(tmp_path / "run", arms[0])
    assert choice.inputs is None
    assert choice.notes[-1] == OTHER_DIVISION.format(seed=choice.facts["seed"])
