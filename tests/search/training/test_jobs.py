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
from resnet_space.description import kind_of
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
    ("one", "other", "when"),
    [
        (GATE | {"gate_bias": -6}, GATE, "always"),
        ({"kind": "skipinit", "scale": 0.5}, {"kind": "skipinit", "scale": 0.25}, "always"),
        (GATE | {"gate_kernel": 3}, GATE, "mixed"),
        (GATE, {"kind": "shortcut_only_gate"}, "mixed"),
        ({"kind": "constant_scaling", "branch_scale": 1}, {"kind": "identity"}, "mixed"),
        ({"kind": "none"}, {"kind": "zero_init"}, "mixed"),
        ({"kind": "dropout", "p": 0.1}, {"kind": "dropout", "p": 0.2}, "one seed"),
        ({"kind": "identity"}, {"kind": "conv1x1"}, "one seed"),
    ],
)
def test_arms_that_differ_in_initial_weights_or_shortcuts_are_one_job(
    one: dict[str, Any], other: dict[str, Any], when: str, trial: Trial, tiny_net: Architecture
) -> None:
    """With layers of different kinds on the way of x, only single seeds gain from that."""
    specs = [trial(net=tiny_net.replace(shortcut=kind), seed=seed) for kind in (one, other) for seed in range(2)]
    for mixed in (True, False):
        found = make_jobs(specs, Resources(fuse="auto"), workers=1, steps=1000, mixed=mixed)
        together = when == "always" or (when == "mixed" and mixed)
        assert sorted(len(job.trials) for job in found) == ([4] if together else [2, 2])
    [job] = make_jobs(specs[::2], Resources(fuse="auto"), workers=1, steps=1000)
    assert {*job.trials} == {*specs[::2]}


UNGATED: list[Any] = [
    "identity",
    "none",
    "conv1x1",
    "dropout",
    "rezero",
    {"kind": "constant_scaling", "shortcut_scale": 0.3},
]
GATED: list[Any] = [GATE, "shortcut_only_gate", GATE | {"gate_kernel": 3}]


def test_arms_that_differ_only_in_their_shortcuts_are_one_job_and_gated_ones_another(
    trial: Trial, tiny_net: Architecture
) -> None:
    specs = [trial(net=tiny_net.assign({"unit.shortcut": kind})) for kind in (*UNGATED, *GATED)]
    found = make_jobs(specs, Resources(fuse="auto"), workers=1, steps=1000)
    assert sorted(({*job.trials} for job in found), key=len) == [{*specs[len(UNGATED) :]}, {*specs[: len(UNGATED)]}]


@pytest.mark.parametrize(
    "changes",
    [{"unit.order": "full_preactivation"}, {"unit.branch": "bottleneck"}, {"width": 4}, {"unit.normalisation": "none"}],
    ids=str,
)
def test_arms_that_differ_in_more_than_their_shortcuts_are_jobs_of_their_own(
    changes: dict[str, Any], trial: Trial, tiny_net: Architecture
) -> None:
    specs = [trial(net=net, seed=seed) for net in (tiny_net, tiny_net.assign(changes)) for seed in range(2)]
    found = make_jobs(specs, Resources(fuse="auto"), workers=1, steps=1000)
    assert [len(job.trials) for job in found] == [2, 2]


@pytest.mark.parametrize("resources", [{"gpus": 1}, {"recompute": True}], ids=str)
def test_dropout_trains_alone_where_it_would_draw_other_masks(
    resources: dict[str, Any], trial: Trial, tiny_net: Architecture
) -> None:
    dropping = [trial(net=tiny_net.assign({"unit.shortcut": "dropout"}), seed=seed) for seed in range(2)]
    others = [trial(seed=seed) for seed in range(2)]
    found = make_jobs([*dropping, *others], Resources(fuse="auto", **resources), workers=1, steps=1000)
    assert sorted(len(job.trials) for job in found) == [1, 1, 2]
    assert [job.trials for job in found if len(job.trials) > 1] == [tuple(others)]


def test_equal_layers_are_side_by_side_in_a_job_whatever_the_order_of_the_trials(
    trial: Trial, tiny_net: Architecture
) -> None:
    """Then their kernels are larger, and a resumed job has the numbers of an undisturbed one."""
    kinds = ["conv1x1", "none", "dropout", "identity", "rezero"]
    specs = [trial(net=tiny_net.assign({"unit.shortcut": kind})) for kind in kinds]
    [job] = make_jobs(specs, Resources(fuse="auto"), workers=1, steps=1000)
    found = [kind_of(type(spec.architecture.unit.shortcut)) for spec in job.trials]
    assert {*found[:3]} == {"identity", "none", "rezero"}
    assert found[3:] == ["conv1x1", "dropout"]
    # More seeds of some of them wait too, and are none of the job.
    more = [trial(net=spec.architecture, seed=1) for spec in specs[2:]]
    known = before({job.name: specs})
    jobs = make_jobs([*specs[2:], *more], Resources(fuse="auto"), workers=1, steps=1000, before=known)
    [again] = [each for each in jobs if each.name == job.name]
    assert again.trials == tuple(spec for spec in job.trials if spec in specs[2:])


def test_the_job_that_takes_longest_comes_first_and_who_is_in_it_does_not_depend_on_the_measurement(
    trial: Trial, tiny_net: Architecture
) -> None:
    nets = [tiny_net.assign({"unit.shortcut": kind}) for kind in UNGATED[:5]]
    specs = [trial(net=net) for net in nets]
    found = list[set[tuple[TrialSpec, ...]]]()
    for slow in nets:
        seconds = {net.key: 10.0 if net is slow else 1.0 for net in nets}

        def cost(net: Architecture, seconds: dict[str, float] = seconds) -> float:
            return seconds[net.key]

        jobs = make_jobs(specs, Resources(fuse="auto"), workers=2, steps=1000, cost=cost)
        assert sorted(len(job.trials) for job in jobs) == [2, 3]
        assert slow in [spec.architecture for spec in jobs[0].trials]
        found.append({job.trials for job in jobs})
    assert all(each == found[0] for each in found)


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


def before(jobs_of: dict[str, Sequence[TrialSpec]], faster: dict[frozenset[str], bool] | None = None) -> PastJobs:
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
    known = before({}, {frozenset({arms[0].architecture.key}): False})
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
    assert found.faster == {frozenset({a[0].architecture.key}): True, frozenset({b[0].architecture.key}): False}
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


@pytest.mark.parametrize(
    ("together", "all_of_them", "each"),
    [
        # The number of trials that train as one network, of two arms with two seeds each.
        ((4, 4, 4, 4), True, (True, True)),
        ((4, 4, 3, 3), True, (True, True)),
        ((2, 2, 2, 2), False, (True, True)),
        ((2, 2, 1, 1), False, (True, False)),
        ((1, 1, 1, 1), False, (False, False)),
    ],
)
def test_a_decision_about_several_arms_is_one_about_the_job(
    together: tuple[int, ...],
    all_of_them: bool,
    each: tuple[bool, bool],
    trial: Trial,
    tiny_net: Architecture,
    tmp_path: Path,
) -> None:
    nets = [tiny_net, tiny_net.replace(shortcut={"kind": "constant_scaling"})]
    specs = [trial(net=net, seed=seed) for net in nets for seed in range(2)]
    with closing(Store.at(tmp_path)) as store:
        store.add(specs)
        store.claim([spec.key for spec in specs], "0" * 16)
        for spec, number in zip(specs, together, strict=True):
            store.write([Started(spec.key, "here", "cpu", together=number)])
        found = PastJobs.of(store.records())
    keys = [net.key for net in nets]
    assert found.decision(keys) is all_of_them
    assert tuple(found.decision([key]) for key in keys) == each
    more = [trial(net=net, seed=seed) for net in nets for seed in (2, 3)]
    jobs = make_jobs(more, Resources(fuse="auto"), workers=1, steps=1000, before=found)
    assert [(len(job.trials), job.together) for job in jobs] == (
        [(4, True)] if all_of_them else [(2, faster) for faster in each]
    )


def test_a_decision_holds_for_fewer_networks_if_positive_and_for_more_if_negative() -> None:
    found = PastJobs(faster={frozenset("abc"): True, frozenset("de"): False})
    assert found.decision("ab") is True
    assert found.decision("def") is False
    assert found.decision("ad") is None
    assert found.decision("d") is None


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
