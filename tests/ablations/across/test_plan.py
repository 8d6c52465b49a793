"""The plan and the feed of a study on several data sets: each data set has its own trials and its own analyses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from power import watched

from ablations.across.feed import FeedAcross
from ablations.across.plan import PlanAcross
from ablations.plan import AblationPlan
from ablations.study import Ablation
from resnet_space.errors import InputError
from search.data import DataSet, load
from search.running.progress import Progress
from search.store.store import Store
from search.trials.events import Finished

TWO = (
    {"name": "fake", "size": 8, "samples": 60, "classes": 2},
    {"name": "fake", "size": 8, "samples": 90, "classes": 3},
)
LABELS = ["fake (classes=2, samples=60)", "fake (classes=3, samples=90)"]


def study(*data: Any, **fields: Any) -> Ablation:
    return Ablation.of(
        {
            "name": "two",
            "net": "resnet20",
            "set": {"width": 0.25, "stages.*.units": 1},
            "arms": {
                "base": {},
                "clear": {"set": {"unit.shortcut": "none"}},
                "open": {"set": {"unit.shortcut": "conv1x1"}},
            },
            "baseline": "base",
            "data": list(data or TWO),
            "recipe": {"base": "digits", "epochs": 2, "batch_size": 8},
            "seeds": 2,
            **fields,
        }
    )


def planned(asked: Ablation) -> PlanAcross:
    return PlanAcross.of(asked, *(load(on_one.dataset) for on_one in asked.on_each.values()))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.at(tmp_path)
    yield store
    store.close()


def test_every_arm_is_trained_on_each_data_set_with_the_keys_that_it_has_there_alone() -> None:
    plan = planned(study())
    alone = [
        AblationPlan.of(study(data), load(DataSet.of(data)))
        for data in TWO  # type: ignore[arg-type]
    ]
    assert list(plan.parts) == LABELS
    assert [list(part.trials) for part in plan.parts.values()] == [list(part.trials) for part in alone]
    assert [next(iter(part.architectures.values())).classes for part in plan.parts.values()] == [2, 3]


def test_a_list_of_one_data_set_is_that_data_set() -> None:
    assert study([TWO[0]][0]) == study().model_copy(update={"data": DataSet.of(TWO[0])})
    assert not study(TWO[0]).several


def test_the_longest_trial_is_that_of_the_largest_data_set() -> None:
    plan = planned(study())
    assert [part.steps for part in plan.parts.values()] == [12, 16]
    assert plan.steps == 16


def test_an_arm_that_one_data_set_does_not_allow_is_refused_with_the_data_set() -> None:
    wrong = study(TWO[0], "digits", set={"input_shape": [3, 8, 8], "width": 0.25, "stages.*.units": 1})
    with pytest.raises(InputError, match=r"^on digits: arms\.base: input_shape: \(3, 8, 8\), but the data have"):
        planned(wrong)


def test_two_data_sets_with_the_same_images_are_refused() -> None:
    twice = study("digits", {"name": "digits", "validation": 0.1, "limit": 1258})
    with pytest.raises(InputError, match=r"data: digits and digits \(limit=1258\) have the same images"):
        planned(twice)


def test_a_trials_name_starts_with_its_data_set() -> None:
    plan = planned(study())
    names = [plan.name_of(part.first[0]) for part in plan.parts.values()]
    assert names == [f"{label}: base, seed 0" for label in LABELS]


def test_a_note_that_all_data_sets_share_comes_once() -> None:
    plan = planned(study(arms={"base": {}, "twin": {"set": {"unit.shortcut": "identity"}}}))
    assert plan.notices == ["on each: the same network, trained once: base = twin"]


def drive(plan: PlanAcross, store: Store, error: Callable[[str, str, int], float]) -> list[tuple[str, str, int]]:
    """Take all trials from the feed, report their errors, and return them as (data set, arm, seed)."""
    feed = FeedAcross(plan, store, Progress(total=0, already=0, steps=1))
    names = {
        (part.images.fingerprint, net.key): (label, arm)
        for label, part in plan.parts.items()
        for arm, net in part.architectures.items()
    }
    feed.begin(1)
    asked = []
    while job := feed.next():
        for spec in job.trials:
            label, arm = names[spec.fingerprint, spec.architecture.key]
            asked.append((label, arm, spec.seed))
            feed.tell([Finished(spec.key, "complete", "", error(label, arm, spec.seed))])
    assert feed.over
    return asked


def test_the_data_sets_are_run_one_after_another(store: Store) -> None:
    asked = drive(planned(study()), store, lambda *_: 0.1)
    assert [label for label, _, _ in asked] == [LABELS[0]] * 6 + [LABELS[1]] * 6
    assert len(set(asked)) == 12


def test_seeds_are_added_on_the_data_set_on_which_a_comparison_is_open(store: Store) -> None:
    wobble = (0.003, -0.004, 0.001, 0.002, -0.003)

    def error(label: str, arm: str, seed: int) -> float:
        if label == LABELS[0] or arm != "open":
            return {"base": 0.1, "clear": 0.7, "open": 0.4}[arm] + (0.0001 if arm == "base" else -0.0001) * seed
        return 0.1 + wobble[seed]

    plan = planned(study(seeds={"min": 3, "max": 5}, planned={"compare": ["clear", "open"], "test": "paired_t"}))
    asked = drive(plan, store, error)
    more = [(label, arm, seed) for label, arm, seed in asked if seed >= 3]
    assert sorted(more) == [(LABELS[1], arm, seed) for arm in ("base", "open") for seed in (3, 4)]


def test_a_resumed_run_continues_where_it_stopped_on_each_data_set(store: Store) -> None:
    plan = planned(study())
    feed = FeedAcross(plan, store, Progress(total=0, already=0, steps=1))
    feed.begin(1)
    for _ in range(8):
        job = feed.next()
        assert job is not None
        feed.tell([Finished(job.trials[0].key, "complete", "", 0.1)])
    assert plan.count_trials(store) == (12, 8)
    assert [seed for _, _, seed in drive(plan, store, lambda *_: 0.1)] == [0, 1, 1, 1]


def test_events_of_several_data_sets_are_stored_in_one_transaction(store: Store, tmp_path: Path) -> None:
    plan = planned(study())
    feed = FeedAcross(plan, store, Progress(total=0, already=0, steps=1))
    feed.begin(12)
    while feed.next():
        pass
    ends = [Finished(spec.key, "complete", "", 0.1) for part in plan.parts.values() for spec in part.first]
    assert not feed.over
    with watched(store, tmp_path / "after") as disk:
        assert feed.tell(ends) == set()
    assert disk.transactions == 1
    assert store.counts()["complete"] == len(ends) == 12
    assert feed.over


def test_the_progress_of_a_trial_is_measured_by_its_own_length(store: Store) -> None:
    plan, progress = planned(study()), Progress(total=0, already=0, steps=1)
    feed = FeedAcross(plan, store, progress)
    feed.begin(1)
    while job := feed.next():
        feed.tell([Finished(job.trials[0].key, "complete", "", 0.1)])
    assert sorted(set(progress.lengths.values())) == [12, 16]
