"""Trials' keys, and jobs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from search.trials.identity import Identity
from search.trials.recipe import Recipe, resolve_recipe
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]


def test_a_job_keeps_its_name_when_some_of_its_trials_have_ended(trial: Trial) -> None:
    """Records of what happened to it before are under that name."""
    job = Job(trials=tuple(trial(seed=seed) for seed in range(3)))
    assert job.name == job.trials[0].key
    assert job.model_copy(update={"trials": job.trials[1:]}).name == job.name


def test_a_job_is_the_same_after_its_way_to_a_worker(trial: Trial) -> None:
    job = Job(trials=(trial(seed=1), trial(seed=2)), probes=(0, 3), together=True, judged=(1, 3, 9))
    assert Job.of(json.loads(job.to_json())) == job


@pytest.mark.parametrize(
    ("recipe", "key"),
    [
        ("paper-cifar", "f06117e40b2d692e"),
        ("fast", "e5be27646ee94845"),
        ("digits", "c2c92b93506799f2"),
        ("smoke", "a9fd8af3f8a3a619"),
        ({"base": "paper-cifar", "lr": 0.2, "warm_up": None}, "bc6e4c1de8fc8aac"),
        ({"epochs": 3, "schedule": "steps", "nesterov": True, "weight_decay": 0.0}, "bd90788ffe55f916"),
        ({"base": "smoke", "warm_up": {}}, "42e45bb19bbb7287"),
    ],
    ids=str,
)
def test_trials_of_earlier_versions_keep_their_keys(recipe: Any, key: str) -> None:
    """Otherwise a stored run would train them again. They are from before recipes had other optimisers."""
    identity = Identity(Recipe.of(resolve_recipe(recipe)), "0123456789abcdef")
    assert identity.key("d8bc4f47d2174355", 7) == key
    again = Identity(Recipe.of(identity.recipe.to_dict()), "0123456789abcdef")
    assert again.key("d8bc4f47d2174355", 7) == key, "also after a store"


def test_a_field_that_an_optimiser_lacks_is_in_no_key() -> None:
    assert "momentum" not in Recipe.of({"epochs": 1, "optimizer": "adamw"}).to_dict()
    assert Recipe.of({"epochs": 1, "optimizer": "adamw", "momentum": 0.9}).to_dict() == {
        **Recipe.of({"epochs": 1, "optimizer": "adamw"}).to_dict()
    }
    for recipe in (Recipe(epochs=1), Recipe.of({"epochs": 1, "optimizer": "sgd", "accumulation": 1, "dropout": 0.0})):
        assert (
            recipe.to_dict().keys() & {"optimizer", "accumulation", "dropout", "loss", "averaging", "clip_norm"}
            == set()
        )
        assert recipe.to_dict()["momentum"] == 0.9
