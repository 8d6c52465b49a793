"""What a search needs from the store: costs as columns, proposals, trials set aside, and trials removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resnet_space import complexity
from search.fronts.front import front
from search.store.store import RESULTS, Store
from search.trials.events import Finished, Started, Status
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.at(tmp_path)
    yield store
    store.close()


def test_every_trial_is_stored_with_its_costs(store: Store, trial: Trial) -> None:
    spec = trial()
    store.add([spec])
    (record,) = store.records()
    cost = complexity(spec.architecture)
    assert (record.depth, record.params) == (spec.architecture.depth, cost.params)
    assert (record.macs, record.activations) == (cost.macs, cost.activations)


def test_results_have_the_columns_of_fronts_as_numbers_also_when_empty(store: Store, trial: Trial) -> None:
    spec = trial()
    store.add([spec])
    assert store.results().empty, "results have complete trials only"
    store.write([Finished(spec.key, "complete", validation_error=0.25, test_error=0.5)])
    frame = store.results()
    assert len(frame) == 1
    assert tuple(frame.columns) == RESULTS
    assert frame["validation_error"].dtype == "float64"
    assert store.results().equals(frame)


def test_a_proposal_is_stored_with_its_trial_and_restores_a_trial_set_aside(store: Store, trial: Trial) -> None:
    spec = trial()
    store.add([spec])
    store.set_aside([spec.key])
    store.propose(spec, {"number": 7, "assignment": {"width": 0.25}, "by": "tpe"})
    (record,) = store.records()
    assert record.proposal == {"number": 7, "assignment": {"width": 0.25}, "by": "tpe"}
    assert not record.aside


def test_trials_set_aside_are_in_no_count_reason_or_result(store: Store, trial: Trial) -> None:
    specs = [trial(seed=seed) for seed in range(2)]
    store.add(specs)
    store.write([Finished(specs[0].key, "failed", "why")])
    store.write([Finished(specs[1].key, "complete", validation_error=0.25)])
    assert len(store.results()) == 1
    store.set_aside([spec.key for spec in specs])
    assert store.counts() == dict.fromkeys(store.counts(), 0)
    assert store.run_status().reasons == []
    assert store.results().empty
    store.set_aside([])
    assert store.counts()["failed"] == 1


def test_only_trials_that_never_started_are_removed(store: Store, trial: Trial) -> None:
    specs = [trial(seed=seed) for seed in range(2)]
    store.add(specs)
    store.write([Started(specs[0].key, "host", "cpu")])
    store.write([Finished(specs[1].key, "infeasible", "macs")])
    store.remove_unstarted([spec.key for spec in specs])
    assert [record.key for record in store.records()] == [specs[0].key]


def test_a_network_is_described_by_its_key(store: Store, trial: Trial) -> None:
    spec = trial()
    store.add([spec])
    assert store.architectures([spec.architecture.key, "nowhere"]).keys() == {spec.architecture.key}
    assert store.describe(spec.architecture.key)("unit.order") == spec.architecture.unit.order


@pytest.mark.parametrize("status", ["waiting", "running", "pruned", "diverged", "failed", "infeasible"])
def test_a_trial_that_is_not_complete_is_on_no_front_and_in_no_mean(status: Status, store: Store, trial: Trial) -> None:
    specs = [trial(seed=seed) for seed in range(2)]
    store.add(specs)
    store.write([Finished(specs[0].key, "complete", validation_error=0.25)])
    store.write([Finished(specs[1].key, status, validation_error=0.125)])
    (point,) = front(store.results(), "error,macs")
    assert (point.error, point.n) == (0.25, 1)


def test_results_are_sorted_by_network_and_seed(store: Store, trial: Trial, tiny_net: Any) -> None:
    nets = [tiny_net, tiny_net.replace(order="full_preactivation")]
    specs = [trial(net=net, seed=seed) for net in nets for seed in (1, 0)]
    store.add(specs)
    for spec in specs:
        store.write([Finished(spec.key, "complete", validation_error=0.25)])
    frame = store.results()
    found = list(zip(frame["architecture"], frame["seed"], strict=True))
    assert found == [(net, seed) for net in sorted(net.key for net in nets) for seed in (0, 1)]
