"""Which trials train together: waiting ones of one shape, unless a worker would be idle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import Architecture
from resnet_space.errors import InputError
from search.data import DataSet
from search.store.store import Store
from search.training.jobs import MIN_STEPS_TO_MEASURE, PastJobs, make_jobs, parts_per_arm, split_evenly
from search.trials.events import Started
from search.trials.resources import Resources
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

SURVIVAL = 0.5
GATE = {"kind": "exclusive_gate"}


@pytest.fixture(scope="module")
def arms(trial: Trial, tiny_net: Architecture) -> list[TrialSpec]:
    """Three seeds of two networks, ordered by seed."""
    return [trial(net=net, seed=seed) for seed in range(3) for net in (tiny_net, tiny_net.replace(shortcut=GATE))]


def shapes(specs: Sequence[TrialSpec], workers: int, steps: int = 1000, **resources: Any) -> list[Any]:
    """Arm and seed of the trials of each job."""
    names = dict(zip(dict.fromkeys(spec.architecture.key for spec in specs), "AB", strict=False))
    found = make_jobs(specs, Resources(**{"fuse": "auto"} | resources), workers=workers, steps=steps)
    return [[(names[spec.architecture.key], spec.seed) for spec in job.trials] for job in found]


def test_waiting_seeds_of_an_arm_are_one_job(arms: list[TrialSpec]) -> None:
    assert shapes(arms, workers=2) == [[("A", 0), ("A", 1), ("A", 2)], [("B", 0), ("B", 1), ("B", 2)]]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (GATE | {"gate_bias": -6}, GATE, True),
        ({"kind": "skipinit", "scale": 0.5}, {"kind": "skipinit", "scale": 0.25}, True),
        (GATE | {"gate_kernel": 3}, GATE, False),
        (GATE, {"kind": "shortcut_only_gate"}, False),
        ({"kind": "constant_scaling", "branch_scale": 1}, {"kind": "constant_scaling"}, False),
        ({"kind": "dropout", "p": 0.1}, {"kind": "dropout", "p": 0.2}, False),
    ],
)
def test_arms_that_differ_only_in_initial_weights_are_one_job(
    one: dict[str, Any], other: dict[str, Any], alike: bool, trial: Trial, tiny_net: Architecture
) -> None:
    specs = [trial(net=tiny_net.replace(shortcut=kind), seed=seed) for kind in (one, other) for seed in range(2)]
    found = make_jobs(specs, Resources(fuse="auto"), workers=1, steps=1000)
    assert sorted(len(job.trials) for job in found) == ([4] if alike else [2, 2])


def test_one_arm_is_divided_between_two_workers(arms: list[TrialSpec]) -> None:
    assert shapes(arms[::2], workers=2) == [[("A", 0), ("A", 1)], [("A", 2)]]


def test_an_arm_that_is_left_over_is_divided_between_workers(arms: list[TrialSpec], trial: Trial) -> None:
    """Otherwise one worker trains all of them while the others wait."""
    third = [trial(net=arms[0].architecture.assign({"width": 4}), seed=seed) for seed in range(3)]
    found = make_jobs([*arms, *third], Resources(fuse="auto"), workers=2, steps=1000)
    assert sorted(len(job.trials) for job in found) == [1, 2, 3, 3]
    assert {spec.architecture.key for job in found[-2:] for spec in job.trials} == {arms[1].architecture.key}


def test_workers_that_would_be_idle_get_their_own_trials(arms: list[TrialSpec]) -> None:
    assert [len(job) for job in shapes(arms, workers=6)] == [1] * 6
    assert [len(job) for job in shapes(arms, workers=100)] == [1] * 6


def test_a_single_worker_gets_one_arm_after_another(arms: list[TrialSpec]) -> None:
    assert [len(job) for job in shapes(arms, workers=1)] == [3, 3]


@pytest.mark.parametrize(
    ("settings", "largest"), [({"fuse": "off"}, 1), ({"fuse": 2}, 2), ({"fuse": 5}, 3), ({"fuse": "auto"}, 3)]
)
def test_jobs_are_as_large_as_the_study_says(settings: dict[str, Any], largest: int, arms: list[TrialSpec]) -> None:
    assert max(len(job) for job in shapes(arms, workers=1, **settings)) == largest


def test_trials_that_cannot_train_together_keep_their_order(arms: list[TrialSpec]) -> None:
    alone = [[(arm, seed)] for seed in range(3) for arm in "AB"]
    assert shapes(arms, workers=1, fuse="off") == alone
    assert shapes(arms, workers=1, steps=MIN_STEPS_TO_MEASURE - 1) == alone


def test_networks_that_cannot_be_fused_and_compiled_ones_are_jobs_of_one(trial: Trial, tiny_net: Architecture) -> None:
    skipping = [trial(net=tiny_net.replace(survival=SURVIVAL), seed=seed) for seed in range(3)]
    assert [len(job) for job in shapes(skipping, workers=1)] == [1, 1, 1]
    assert [len(job) for job in shapes(skipping, workers=1, fuse=3)] == [1, 1, 1]
    compiled = [trial(seed=seed, compile=True) for seed in range(3)]
    assert [len(job) for job in shapes(compiled, workers=1)] == [1, 1, 1]


def test_seeds_with_divisions_of_their_own_are_jobs_of_one(trial: Trial) -> None:
    specs = [trial(seed=seed, data=DataSet(name="digits", limit=200, split="seed"), epochs=100) for seed in range(3)]
    made = make_jobs(specs, Resources(fuse=4), workers=1, steps=1000)
    assert [len(job.trials) for job in made] == [1, 1, 1]


def test_long_jobs_come_first(trial: Trial, tiny_net: Architecture) -> None:
    """Otherwise one worker is still busy at the end while the others wait."""
    doubled = trial(net=tiny_net.assign({"stages.*.units": 2}))
    wide = [trial(net=tiny_net.assign({"width": 4}), seed=seed) for seed in range(2)]
    found = make_jobs([trial(), doubled, *wide], Resources(fuse="auto"), workers=1, steps=1000)
    assert [job.trials for job in found] == [tuple(wide), (doubled,), (trial(),)]


def test_jobs_carry_the_probes(arms: list[TrialSpec]) -> None:
    found = make_jobs(arms, Resources(fuse="auto"), workers=2, steps=1000, probes=(0, 3))
    assert {job.probes for job in found} == {(0, 3)}


def before(jobs_of: dict[str, Sequence[TrialSpec]], faster: dict[str, bool] | None = None) -> PastJobs:
    return PastJobs({spec.key: name for name, specs in jobs_of.items() for spec in specs}, faster or {})


def test_trials_that_were_one_job_resume_as_that_job(arms: list[TrialSpec]) -> None:
    a, b = arms[::2], arms[1::2]
    # Alone, these three would be divided between two workers.
    found = make_jobs(a, Resources(fuse="auto"), workers=2, steps=1000, before=before({"0" * 16: a}))
    assert [(job.name, job.trials) for job in found] == [("0" * 16, tuple(a))]
    # The first has ended: the others are its job still, and new ones are none of it.
    left = [*a[1:], *b]
    found = make_jobs(left, Resources(fuse="auto"), workers=1, steps=1000, before=before({"0" * 16: a}))
    assert [(job.name, job.trials) for job in found] == [(b[0].key, tuple(b)), ("0" * 16, tuple(a[1:]))], (
        "longest first"
    )


def test_a_job_that_is_larger_than_now_allowed_is_divided(arms: list[TrialSpec]) -> None:
    a = arms[::2]
    found = make_jobs(a, Resources(fuse="off"), workers=2, steps=1000, before=before({"0" * 16: a}))
    assert [job.trials for job in found] == [(spec,) for spec in a]
    assert len({job.name for job in found}) == 3


def test_a_measured_decision_is_not_measured_again(arms: list[TrialSpec]) -> None:
    key = arms[0].architecture.key
    known = before({}, {key: False})
    found = make_jobs(arms, Resources(fuse="auto"), workers=1, steps=1000, before=known)
    assert [job.together for job in found] == [False, None]
    assert [job.together for job in make_jobs(arms, Resources(fuse=3), workers=1, steps=1000, before=known)] == [
        None
    ] * 2


def test_decisions_are_read_from_the_store(arms: list[TrialSpec], tmp_path: Path) -> None:
    a, b = arms[::2], arms[1::2]
    with closing(Store.at(tmp_path)) as store:
        store.add(arms)
        assert PastJobs.of(store.records()) == PastJobs()
        store.claim([spec.key for spec in a], "0" * 16)
        store.claim([spec.key for spec in b[:2]], "1" * 16)
        store.claim([b[2].key], "2" * 16)
        assert PastJobs.of(store.records()).faster == {}, "nothing was measured yet"
        for spec, together in [*((spec, 3) for spec in a), *((spec, 1) for spec in b)]:
            store.write([Started(spec.key, "here", "cpu", together=together)])
        found = PastJobs.of(store.records())
    assert found.faster == {a[0].architecture.key: True, b[0].architecture.key: False}
    assert found.job == {
        **{spec.key: "0" * 16 for spec in a},
        **dict.fromkeys([b[0].key, b[1].key], "1" * 16),
        b[2].key: "2" * 16,
    }


def test_a_trial_that_trained_alone_is_no_decision_about_fusing(arms: list[TrialSpec], tmp_path: Path) -> None:
    with closing(Store.at(tmp_path)) as store:
        store.add(arms[:1])
        store.claim([arms[0].key], "0" * 16)
        store.write([Started(arms[0].key, "here", "cpu")])
        assert PastJobs.of(store.records()).faster == {}


def test_no_trials_give_no_jobs() -> None:
    assert make_jobs([], Resources(fuse="auto"), workers=2, steps=1000) == []


@given(arms=st.integers(1, 12), trials=st.integers(1, 12), most=st.integers(1, 8), workers=st.integers(1, 40))
def test_no_job_is_too_large_and_no_worker_is_idle_while_others_have_several(
    arms: int, trials: int, most: int, workers: int
) -> None:
    number = parts_per_arm(arms, trials, most, workers)
    assert 1 <= number <= trials
    assert -(-trials // number) <= most
    if arms * trials <= workers:
        assert number == trials, "a worker for each"


@given(size=st.integers(1, 20), data=st.data())
def test_parts_have_all_trials_in_order_and_similar_sizes(size: int, data: st.DataObject, trial: Trial) -> None:
    numbers: list[Any] = list(range(size))
    found = split_evenly(numbers, data.draw(st.integers(1, size)))
    assert [number for part in found for number in part] == numbers
    assert {len(part) for part in found} <= {len(found[-1]), len(found[-1]) + 1}


@pytest.mark.parametrize("fuse", [1, 0, -3, "on", 2.5, True])
def test_allowed_values_of_fuse_are_listed(fuse: object) -> None:
    with pytest.raises(InputError, match=r"fuse: must be auto, off, or the largest number of seeds, at least 2, not"):
        Resources.of({"fuse": fuse})
