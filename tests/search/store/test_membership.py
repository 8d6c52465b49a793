"""A stored trial belongs to a run if its key is the run's: not a trial of other data, recipe or version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resnet_space import documents
from search.files.folder import RunFolder
from search.store import membership
from search.store.store import Store
from search.trials import identity as module
from search.trials.events import Finished
from search.trials.identity import Identities
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.at(tmp_path)
    yield store
    store.close()


def complete(store: Store, *specs: TrialSpec, error: float = 0.5) -> None:
    store.add(specs)
    for spec in specs:
        store.write([Finished(spec.key, "complete", "", error, error, 1.0, 1.0)])


def elsewhere(spec: TrialSpec, fingerprint: str) -> TrialSpec:
    return TrialSpec.of(spec.model_dump() | {"fingerprint": fingerprint})


def test_the_key_is_the_hash_of_everything_that_defines_a_trial(trial: Trial) -> None:
    spec = trial(seed=3)
    content = {
        "schema": 2,
        "architecture": spec.architecture.key,
        "recipe": spec.recipe.model_dump(mode="json"),
        "fingerprint": spec.fingerprint,
        "seed": 3,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert spec.key == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_trials_of_other_data_recipes_or_versions_are_foreign(
    trial: Trial, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other_data, other_recipe = trial(), elsewhere(trial(), "f" * 16), trial(lr=0.2)
    with monkeypatch.context() as patch:
        patch.setattr(module, "TRAINING_VERSION", 1)
        before = trial(seed=7)
        complete(store, before)
    complete(store, mine, other_data, other_recipe)
    own = Identities([mine.identity])
    assert [record.key for record in own.own_records(store.records())] == [mine.key]
    assert (len(store.results()), len(store.results(own)), store.count_foreign(own)) == (4, 1, 3)


def test_a_trial_with_the_wrong_key_is_foreign(trial: Trial, store: Store) -> None:
    complete(store, trial())
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trials SET seed = 1")
    own = Identities([trial().identity])
    assert own.own_records(store.records()) == []
    assert store.results(own).empty


def test_the_status_from_records_equals_the_stores_status(trial: Trial, store: Store) -> None:
    specs = [trial(seed=seed) for seed in range(5)]
    complete(store, *specs[:2])
    store.add(specs[2:])
    store.write([Finished(specs[2].key, "failed", "b\x07d")])
    store.write([Finished(specs[3].key, "failed", "c")])
    assert membership.run_status(store.records(), store.run_status()) == store.run_status()
    [waiting] = [record for record in store.records() if record.key == specs[4].key]
    counts = membership.run_status([waiting], store.run_status()).counts
    assert counts == {**dict.fromkeys(store.counts(), 0), "waiting": 1}
    store.set_aside([specs[0].key])
    assert membership.run_status(store.records(), store.run_status()) == store.run_status()


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (None, ""),
        (0, ""),
        (1, "1 stored trial is of other data, another recipe or another version, and is not part of any mean"),
        (3, "3 stored trials are of other data, another recipe or another version, and are not part of any mean"),
    ],
)
def test_the_note_counts_foreign_trials(number: int | None, line: str) -> None:
    assert membership.foreign_note(number) == line


def begun(folder: Path, recipe: Recipe, *sessions: dict[str, Any]) -> RunFolder:
    """A run's folder with these sessions."""
    run = RunFolder(folder)
    run.study.write_text(documents.write({"recipe": recipe.model_dump(mode="json")}))
    for facts in sessions:
        run.add_session(**facts)
    return run


def test_a_runs_data_are_those_of_its_first_session(trial: Trial, store: Store, tmp_path: Path) -> None:
    mine, later = trial(), [elsewhere(trial(seed=seed), "f" * 16) for seed in range(3)]
    complete(store, mine, *later)
    folder = begun(tmp_path, mine.recipe, {}, {"fingerprint": mine.fingerprint}, {"fingerprint": "f" * 16})
    assert membership.own_fingerprint(folder, store) == mine.fingerprint
    assert membership.count_foreign(folder) == 3


def test_without_a_fingerprint_in_any_session_the_most_common_one_of_trials_counts(
    trial: Trial, store: Store, tmp_path: Path
) -> None:
    complete(store, trial(), trial(seed=1), elsewhere(trial(), "f" * 16))
    folder = begun(tmp_path, trial().recipe, {})
    assert membership.own_fingerprint(folder, store) == trial().fingerprint
    assert membership.count_foreign(folder) == 1


def test_foreign_trials_are_counted_in_a_store_outside_the_folder(trial: Trial, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    there = Store(url)
    complete(there, trial(), elsewhere(trial(), "f" * 16))
    there.close()
    folder = begun(tmp_path, trial().recipe, {"fingerprint": trial().fingerprint})
    assert membership.count_foreign(folder, url) == 1


@pytest.mark.parametrize("text", ["[]", "a: 1", "recipe: {lr: much}", "recipe: nothing-known"])
def test_foreign_trials_are_not_counted_if_the_study_cannot_be_read(
    text: str, trial: Trial, store: Store, tmp_path: Path
) -> None:
    folder = begun(tmp_path, trial().recipe, {"fingerprint": trial().fingerprint})
    folder.study.write_text(text)
    assert membership.count_foreign(folder) is None
