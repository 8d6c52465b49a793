"""Whether trials are faster together, and what a worker decides from that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_space import Architecture
from resnet_space.fused import Unfusable
from search.data import Images
from search.training import fusion_speedup
from search.training import jobs as jobs_module
from search.training import work as work_module
from search.training.forecast import memory_of_step
from search.training.fusion_speedup import speedup, time_steps
from search.training.jobs import make_jobs
from search.training.members import Group
from search.training.work import work
from search.trials.events import Epoch, Event, Finished, Started
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]


def seeds(trial: Trial, **changes: Any) -> list[TrialSpec]:
    return [trial(seed=seed, **changes) for seed in range(2)]


@pytest.mark.parametrize(("factor", "found"), [(2.0, 2.0), (1.05, None), (0.5, None)])
def test_by_default_trials_that_are_not_clearly_faster_together_train_one_by_one(
    factor: float, found: float | None, trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fusion_speedup, "time_steps", lambda *_, **__: [(9.0, 1.0), (factor, 9.0), (factor, 1.0)])
    assert speedup(seeds(trial), digits, Resources(fuse="auto"), steps=1000) == found
    assert speedup(seeds(trial), digits, Resources(fuse=2), steps=1000) == factor
    assert speedup(seeds(trial), digits, Resources(fuse="off"), steps=1000) is None
    assert speedup(seeds(trial), digits, Resources(fuse="auto"), steps=10) is None
    assert speedup(seeds(trial)[:1], digits, Resources(fuse=2), steps=1000) is None


def test_a_short_disturbance_does_not_separate_seeds(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([[(2.0, 4.0), (2.0, 4.0)], [(2.0, 4.0), (2.0, 1.0)]])
    monkeypatch.setattr(fusion_speedup, "time_steps", lambda *_, **__: next(measured))
    assert speedup(seeds(trial), digits, Resources(fuse="auto"), steps=1000) == 2.0


def test_trials_that_need_too_much_memory_train_one_by_one(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = seeds(trial)
    asked = len(specs) * memory_of_step(specs[0].architecture, specs[0].recipe).total
    assert time_steps(specs, digits, "cpu", 1, room=asked)
    with pytest.raises(Unfusable, match=f"{len(specs)} networks take {asked} bytes, and {asked - 1} are available"):
        time_steps(specs, digits, "cpu", 1, room=asked - 1)
    monkeypatch.setattr(fusion_speedup, "total_memory", lambda _: 1_000_000)
    assert speedup(specs, digits, Resources(fuse="auto"), steps=1000) is None


def test_the_measurement_draws_no_random_number_and_gives_seconds_of_both(trial: Trial, digits: Images) -> None:
    before = torch.get_rng_state()
    taken = time_steps(seeds(trial), digits, "cpu", 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(taken) == 2
    assert all(seconds > 0 for pair in taken for seconds in pair)


def test_a_fused_network_that_computes_something_else_is_detected(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swapped(self: Group, images: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        return list(reversed(logits(self, images)))

    logits = Group.logits
    monkeypatch.setattr(Group, "logits", swapped)
    with pytest.raises(Unfusable, match="losses of the first step"):
        time_steps(seeds(trial), digits, "cpu", 1)
    assert speedup(seeds(trial), digits, Resources(fuse=2), steps=1000) is None


def mixture(trial: Trial, **changes: Any) -> list[TrialSpec]:
    """Two seeds of each of two arms with different shortcuts."""
    nets = [trial().architecture.replace(shortcut={"kind": kind}) for kind in ("identity", "conv1x1")]
    return [trial(net=net, seed=seed, **changes) for net in nets for seed in range(2)]


def test_one_trial_of_each_network_is_timed_alone(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(fusion_speedup, "device_time", lambda _: float(next(clock)))
    # A step takes a second: two steps that are counted twice, and one of all together.
    assert time_steps(mixture(trial), digits, "cpu", 1) == [(4.0, 1.0)]


def test_the_memory_of_arms_with_different_shortcuts_is_the_sum_of_theirs(trial: Trial, digits: Images) -> None:
    specs = mixture(trial)
    asked = sum(memory_of_step(spec.architecture, spec.recipe).total for spec in specs)
    assert time_steps(specs, digits, "cpu", 1, room=asked)
    with pytest.raises(Unfusable, match=f"4 networks take {asked} bytes, and {asked - 1} are available"):
        time_steps(specs, digits, "cpu", 1, room=asked - 1)


@pytest.mark.parametrize(
    ("faster", "together"),
    [({4}, {4}), ({2}, {2}), (set(), {1})],
    ids=["all", "each arm", "none"],
)
def test_a_worker_trains_all_arms_together_or_each_arm_or_each_trial(
    faster: set[int], together: set[int], trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_module, "speedup", lambda specs, *_, **__: 2.0 if len(specs) in faster else None)
    events = list(work(Job(trials=tuple(mixture(trial, epochs=1))), Resources(), None))
    assert {event.together for event in events if isinstance(event, Started)} == together
    assert [event.status for event in events if isinstance(event, Finished)] == ["complete"] * 4


def kinds(events: Sequence[Event]) -> list[tuple[int, str]]:
    places = {key: place for place, key in enumerate(dict.fromkeys(event.key for event in events))}
    return [(places[event.key], type(event).__name__) for event in events]


@pytest.mark.parametrize("together", [True, False])
def test_a_worker_follows_the_decision_of_its_job(
    together: bool, trial: Trial, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(work_module, "speedup", never)
    job = Job(trials=tuple(seeds(trial, epochs=1)), together=together)
    started = [event for event in work(job, Resources(), tmp_path) if isinstance(event, Started)]
    assert {event.together for event in started} == {2 if together else 1}


def never(*_: Any, **__: Any) -> float:
    raise AssertionError("measured")


def test_a_worker_trains_a_job_together_if_the_settings_say_so(trial: Trial, tmp_path: Path) -> None:
    (job,) = make_jobs(seeds(trial, epochs=2), Resources(fuse=2), workers=1, steps=14)
    events = list(work(job, Resources(fuse=2), tmp_path))
    each = [(0, "Epoch"), (1, "Epoch")]
    assert kinds(events) == [(0, "Started"), (1, "Started"), *each, *each, (0, "Finished"), (1, "Finished")]
    assert {event.together for event in events if isinstance(event, Started)} == {2}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(spec.key for spec in job.trials)


def test_a_worker_trains_one_by_one_if_together_is_slower(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion_speedup, "time_steps", lambda *_, **__: [(1.0, 1.0)])
    monkeypatch.setattr(jobs_module, "MIN_STEPS_TO_MEASURE", 10)
    (job,) = make_jobs(seeds(trial, steps=10), Resources(fuse="auto"), workers=1, steps=10)
    events = list(work(job, Resources(fuse="auto"), None))
    assert {event.together for event in events if isinstance(event, Started)} == {1}
    assert [event.status for event in events if isinstance(event, Finished)] == ["complete", "complete"]


def test_an_error_of_trials_that_train_together_is_reported_for_each(trial: Trial, tiny_net: Architecture) -> None:
    broken = seeds(trial, net=tiny_net.assign({"classes": 2}))
    (job,) = make_jobs(broken, Resources(fuse=2), workers=1, steps=21)
    ends = [event for event in work(job, Resources(fuse=2), None) if isinstance(event, Finished)]
    assert [(end.key, end.status) for end in ends] == [(spec.key, "failed") for spec in broken]
    assert all(end.reason.startswith("IndexError") for end in ends)


def test_trials_whose_group_fails_resume_one_by_one_after_their_checkpoints(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_back, done = Group.hand_back, list[int]()

    def breaks(self: Group) -> None:
        done.append(len(self.members))
        if done == [2, 2]:
            raise MemoryError
        hand_back(self)

    monkeypatch.setattr(Group, "hand_back", breaks)
    resources = Resources(fuse=2, checkpoint_seconds=0)
    (job,) = make_jobs(seeds(trial, epochs=3), resources, workers=1, steps=21)
    events = list(work(job, resources, tmp_path))
    assert done == [2, 2, 1, 1, 1, 1]
    assert [event.step for event in events if isinstance(event, Started)] == [0, 0, 7, 7]
    assert [event.status for event in events if isinstance(event, Finished)] == ["complete", "complete"]
    for spec in job.trials:
        assert {event.epoch for event in events if isinstance(event, Epoch) and event.key == spec.key} == {1, 2, 3}
