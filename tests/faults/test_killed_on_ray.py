"""Ray workers that a trial kills by a signal: only this trial fails, with the reason."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import deadly
import pytest
from deadly import MEASURING, doom
from sweeping import Listed

from resnet_space.errors import InputError
from search.training.killed import LIBRARY
from search.trials.events import Epoch, Event, Finished, Notice, Started
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.long]

DIED = f"killed by SIGSEGV, {LIBRARY}"


@dataclass
class Heard:
    """The events of a run on Ray."""

    events: list[Event] = field(default_factory=list)

    def of(self, spec: TrialSpec, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if event.key == spec.key and isinstance(event, kind)]

    def end(self, spec: TrialSpec) -> tuple[str, str]:
        [end] = self.of(spec, Finished)
        return end.status, end.reason


def run(jobs: list[Job], folder: Path, doomed: dict[str, int], **resources: Any) -> Heard:
    """Run jobs one at a time, in which trials kill their process as often as `doomed` says."""
    from search.running.ray import cluster, runner

    deaths, heard = folder / "deaths", Heard()
    for name, times in doomed.items():
        doom(deaths, name, times)
    # Workers cannot import what tests are made with.
    cluster.ray.cloudpickle.register_pickle_by_value(deadly)

    def work(job: Job, resources: Resources, checkpoints: Any) -> Generator[Event]:
        from search.training.work import work as really

        with deadly.deadly(deaths):
            yield from really(job, resources, checkpoints)

    try:
        runner.run(
            Listed(jobs, heard.events.append),
            resources=Resources(at_once=1, checkpoint_seconds=0, **resources),
            checkpoints=folder / "checkpoints",
            work=work,
        )
    finally:
        cluster.ray.cloudpickle.unregister_pickle_by_value(deadly)
    return heard


def test_a_trial_that_kills_its_worker_gets_one_more_attempt_with_any_retries_and_fails_alone(
    trial: Trial, tmp_path: Path
) -> None:
    once, twice, sound = (trial(seed=seed, epochs=3) for seed in range(3))
    together = tuple(trial(seed=seed, epochs=3, lr=0.05) for seed in range(3))
    guilty = together[1]
    jobs = [Job(trials=(once,)), Job(trials=(twice,)), Job(trials=together), Job(trials=(sound,))]
    doomed = {once.key: 1, twice.key: 2, guilty.key: 3}
    heard = run(jobs, tmp_path, doomed, retries=1, fuse=3)

    assert heard.end(once) == ("complete", "")
    assert heard.of(once, Started)[-1].step > 0, "it went on after its checkpoint"
    assert [note.text for note in heard.of(once, Notice)] == [
        f"its worker was lost, and is replaced: {DIED}",
        f"{DIED}; tried once more",
    ]
    assert heard.end(twice) == ("failed", DIED)
    assert len(heard.of(twice, Started)) == 2
    assert heard.end(guilty) == ("failed", DIED)
    assert [heard.end(spec) for spec in together if spec != guilty] == [("complete", "")] * 2
    assert {start.together for spec in together for start in heard.of(spec, Started)} == {3, 1}
    assert heard.end(sound) == ("complete", "")
    left = sorted(path.parent.name for path in (tmp_path / "checkpoints").glob("*/*.txt"))
    assert left == sorted([twice.key, guilty.key])


def test_with_no_retries_the_driver_says_what_killed_the_worker(trial: Trial, tmp_path: Path) -> None:
    spec, group = trial(seed=4), (trial(seed=5), trial(seed=6))
    jobs = [Job(trials=(spec,)), Job(trials=group)]
    heard = run(jobs, tmp_path, {spec.key: 1, MEASURING: 1}, retries=0, fuse=2)
    assert heard.end(spec) == ("failed", DIED)
    assert {heard.end(each) for each in group} == {("failed", f"worker lost 1 times: {DIED}")}
    assert "in strike" in (tmp_path / "checkpoints" / spec.key / "traceback.txt").read_text()


class Bomb:
    """Kills the process that unpickles it, as a faulty library kills the process that imports it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.kill, (Here(), signal.SIGSEGV)


class Here:
    """Unpickles to the number of the process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.getpid, ()


def test_workers_that_die_before_they_start_end_the_run_with_the_reason(trial: Trial, tmp_path: Path) -> None:
    from search.running.ray import cluster, runner

    bomb, heard = Bomb(), Heard()

    def work(job: Job, resources: Resources, checkpoints: Any) -> Generator[Event]:
        raise AssertionError(bomb)

    cluster.ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        with pytest.raises(InputError) as error:
            runner.run(
                Listed([Job(trials=(trial(seed=7),))], heard.events.append),
                resources=Resources(at_once=1),
                checkpoints=tmp_path,
                work=work,
            )
    finally:
        cluster.ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    reason = "The actor died unexpectedly before finishing this task."
    assert str(error.value) == f"3 workers in a row were lost before they had started: {reason}"
    assert heard.events == []


def test_a_stopped_trial_leaves_no_record_of_deaths(trial: Trial, tmp_path: Path) -> None:
    from search.running.ray import runner

    class Stopping(Listed):
        def tell(self, events: Sequence[Event]) -> set[str]:
            return super().tell(events) | {event.key for event in events if isinstance(event, Epoch)}

    heard = Heard()
    jobs = [Job(trials=(trial(seed=seed, epochs=200),)) for seed in (8, 9)]
    runner.run(
        Stopping(jobs, heard.events.append), resources=Resources(at_once=1), checkpoints=tmp_path / "checkpoints"
    )
    assert len([event for event in heard.events if isinstance(event, Started)]) == 2
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("*/*.txt")) == []
