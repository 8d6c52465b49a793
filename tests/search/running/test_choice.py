"""Find a network of a run by its arm's name, its key or the first digits of its key, with its best trial's weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from resnet_space import api
from resnet_space.api.folders import open_folder
from resnet_space.api.studies import load
from resnet_space.errors import InputError
from search.data import DataSet
from search.data import load as images
from search.running.choice import OTHER_DIVISION, Choice
from search.running.choice import choose as choose_stored


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Transitions A, B and C in the smallest network, two seeds each."""
    out = tmp_path_factory.mktemp("choice") / "run"
    changes = {"width": 0.125, "stages.*.units": 1, "recipe.epochs": 1, "seeds": 2}
    api.run(load("transitions", changes=changes), out, inline=True)
    return out


def choose(folder: Path, name: str) -> Choice:
    with open_folder(folder) as stored:
        return choose_stored(stored, name)


def test_an_arm_is_found_by_its_name_and_by_its_key(folder: Path) -> None:
    study = load("transitions")
    name = next(iter(study.model_dump()["arms"]))
    by_name = choose(folder, name)
    assert choose(folder, by_name.net.key) == by_name
    assert choose(folder, by_name.net.key[:8]) == by_name


def test_the_weights_are_those_of_the_trial_with_the_lowest_validation_error(folder: Path) -> None:
    choice = choose(folder, next(iter(load("transitions").model_dump()["arms"])))
    assert choice.weights
    assert choice.weights.is_file()
    assert choice.weights.parent.name == choice.facts["trial"]
    assert 0 <= float(choice.facts["validation_error"]) <= 1


@pytest.mark.parametrize("name", ["nobody", ""])
def test_an_unknown_name_is_refused_with_the_existing_names(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match="--arm: unknown network"):
        choose(folder, name)


def test_a_network_of_a_seed_with_its_own_division_has_the_mean_of_its_own_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"width": 0.125, "stages.*.units": 1, "recipe.epochs": 1, "seeds": 3, "data.split": "seed"}
    api.run(load("transitions", changes=changes), tmp_path / "run", inline=True)
    arms = list(load("transitions").model_dump()["arms"])
    found = [choose(tmp_path / "run", arm) for arm in arms]
    for choice in found:
        assert choice.inputs
        own = images(DataSet(name="digits", split="seed"), seed=int(choice.facts["seed"]))
        assert (choice.inputs.mean, choice.inputs.std) == (own.mean, own.std)
    monkeypatch.setattr("search.data.loading.load_if_ready", lambda *_, **__: None)
    choice = choose(tmp_path / "run", arms[0])
    assert choice.inputs is None
    assert choice.notes == [OTHER_DIVISION.format(seed=choice.facts["seed"])]
