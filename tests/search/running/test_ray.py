"""Runs on Ray: the same numbers as inline, lost workers are replaced, and trials fail alone."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import forks
import numpy as np
import pytest
import sweeping
from nodes import workers
from sweeping import Listed

from resnet_space import Architecture
from resnet_space.errors import InputError
from search.data import DataSet, load
from search.running import inline
from search.running.ray.lost_workers import failure_cause
from search.running.ray.workforce import error_lines
from search.training.checkpoint import WEIGHTS
from search.trials.events import Epoch, Event, Finished, Notice, Started
from search.trials.predictions import Predictions
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]

pytestmark = pytest.mark.usefixtures("ray_cluster")

RETRIES = 1


@dataclass
class Sweep:
    """The events of a run on Ray, and the place of its checkpoints."""

    jobs: dict[str, Job]
    checkpoints: Path
    events: list[Event] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)
    printed: str = ""

    def of(self, name: str, trial: int = 0) -> list[Event]:
        key = self.jobs[name].trials[trial].key
        return [event for event in self.events if event.key == key]

    def end(self, name: str, trial: int = 0) -> Finished:
        ends = [event for event in self.of(name, trial) if isinstance(event, Finished)]
        assert len(ends) == 1
        return ends[0]

    def starts(self, name: str, trial: int = 0) -> list[int]:
        """The step of each start of the trial by a worker."""
        return [event.step for event in self.of(name, trial) if isinstance(event, Started)]


def kill_workers() -> None:
    """Kill processes by SIGKILL, and wait until they have ended."""
    there = workers(os.getpid())
    for pid in there:
        os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while set(there) & set(workers(os.getpid())) and time.monotonic() < end:
        time.sleep(0.01)


def measured(events: list[Event]) -> list[tuple[Any, ...]]:
    """The last event of every epoch, and the end, without durations."""
    clocks = ("seconds", "images_per_second", "traceback", "latency_ms")
    told = {
        (type(event).__name__, getattr(event, "epoch", 0)): tuple(
            getattr(event, item.name) for item in fields(event) if item.name not in clocks
        )
        for event in events
        if not isinstance(event, Started | Notice)
    }
    return [told[name] for name in sorted(told)]


@pytest.fixture(scope="module")
def jobs(trial: Trial, tiny_net: Architecture, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """One trial for each outcome. Dropout draws random numbers, so a lost random state would be noticed."""
    dropout = tiny_net.replace(shortcut={"kind": "dropout", "p": 0.5})
    file = tmp_path_factory.mktemp("data") / "gone.npz"
    np.savez(file, x=np.zeros((60, 8, 8), "uint8"), y=np.arange(60) % 10)
    data = DataSet(name="npz", root=str(file))
    fingerprint = load(data).fingerprint
    file.unlink()
    gone = TrialSpec.of(trial(data=data).model_dump() | {"fingerprint": fingerprint})
    return {
        "two seeds": Job(trials=(trial(seed=1), trial(seed=2))),
        "data gone": Job(trials=(gone,)),
        "wrong in a step": Job(trials=(trial(net=tiny_net.assign({"classes": 2})),)),
        # Where a job is judged, its worker waits: it can be killed there.
        "killed once": Job(trials=(trial(net=dropout, epochs=5, augmentation={"pad": 1}),), judged=(3,)),
        "killed for ever": Job(trials=(trial(seed=7, epochs=40),), judged=tuple(range(40))),
        "after them": Job(trials=(trial(seed=8),)),
    }


@pytest.fixture(scope="module")
def swept(jobs: dict[str, Job], ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """All trials in one run, one at a time, so that the only worker is that of the trial that reports."""
    from search.running.ray import runner

    result = Sweep(jobs, tmp_path_factory.mktemp("ray"))
    names = {spec.key: name for name, job in jobs.items() for spec in job.trials}

    def tell(event: Event) -> None:
        result.events.append(event)
        name = names[event.key]
        if isinstance(event, Epoch) and (
            (name == "killed once" and event.epoch == 3 and name not in result.kills) or name == "killed for ever"
        ):
            result.kills.append(name)
            assert len(workers(os.getpid())) == 1
            kill_workers()

    resources = Resources(at_once=1, retries=RETRIES, checkpoint_seconds=0)
    with redirect_stdout(io.StringIO()) as stdout:
        runner.run(Listed(jobs.values(), tell), resources=resources, checkpoints=result.checkpoints)
    result.printed = stdout.getvalue()
    return result


@pytest.fixture(scope="module")
def inlined(jobs: dict[str, Job], tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The same trials inline, without kills."""
    names = ("two seeds", "killed once", "after them", "wrong in a step")
    result = Sweep(jobs, tmp_path_factory.mktemp("inline"))
    inline.run(
        Listed([jobs[name] for name in names], result.events.append),
        resources=Resources(),
        checkpoints=result.checkpoints,
    )
    return result


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), [("two seeds", 0), ("two seeds", 1), ("after them", 0)])
def test_a_trial_on_ray_has_the_numbers_of_one_inline(name: str, number: int, swept: Sweep, inlined: Sweep) -> None:
    assert swept.end(name, number).status == "complete"
    assert Predictions.from_bytes(swept.end(name, number).predictions).error == swept.end(name, number).test_error
    assert measured(swept.of(name, number)) == measured(inlined.of(name, number))


def test_the_weights_on_ray_are_the_weights_inline(swept: Sweep, inlined: Sweep) -> None:
    for name in ("two seeds", "killed once", "after them"):
        for spec in swept.jobs[name].trials:
            a, b = ((sweep.checkpoints / spec.key / WEIGHTS).read_bytes() for sweep in (swept, inlined))
            assert a == b


def test_events_arrive_in_order(swept: Sweep) -> None:
    start, *epochs, end = swept.of("after them")
    assert isinstance(start, Started)
    assert [event.epoch for event in epochs if isinstance(event, Epoch)] == [1, 2, 3]
    assert isinstance(end, Finished)


def test_a_job_of_two_seeds_reports_both(swept: Sweep) -> None:
    assert [swept.end("two seeds", trial).status for trial in (0, 1)] == ["complete"] * 2
    assert swept.end("two seeds", 0).test_error != swept.end("two seeds", 1).test_error


def test_a_lost_worker_is_replaced_and_the_trial_ends_with_the_same_numbers(swept: Sweep, inlined: Sweep) -> None:
    assert swept.kills.count("killed once") == 1
    first, second = swept.starts("killed once")
    assert first == 0
    assert second >= 3 * 7, "resumed after its checkpoint"
    assert swept.end("killed once").status == "complete"
    assert measured(swept.of("killed once")) == measured(inlined.of("killed once"))


def test_a_lost_worker_is_reported(swept: Sweep) -> None:
    [note] = [event.text for event in swept.of("killed once") if isinstance(event, Notice)]
    assert note.startswith("its worker was lost, and is replaced: ")


def test_a_worker_lost_too_often_fails_its_trial_with_a_reason(swept: Sweep) -> None:
    assert len(swept.starts("killed for ever")) == RETRIES + 1
    end = swept.end("killed for ever")
    assert end.status == "failed"
    assert end.reason.startswith(f"worker lost {RETRIES + 1} times: ")
    assert "occurred at" not in end.reason, "reasons are grouped, so they have no times in them"
    assert "died" in end.reason
    assert "\n" not in end.reason


def test_nothing_is_printed_on_stdout_even_when_workers_die(swept: Sweep) -> None:
    assert swept.kills
    assert swept.printed == ""


def test_trials_after_a_failed_one_finish(swept: Sweep) -> None:
    assert swept.end("after them").status == "complete"


def test_an_error_in_a_step_is_reported_and_not_retried(swept: Sweep, inlined: Sweep) -> None:
    end = swept.end("wrong in a step")
    assert len(swept.starts("wrong in a step")) == 1
    assert end.status == "failed"
    assert end.reason.startswith("IndexError: Target ")
    assert "search/training/train.py" in end.traceback
    assert end.reason == inlined.end("wrong in a step").reason


def test_data_that_a_worker_lacks_are_reported_and_not_retried(swept: Sweep) -> None:
    assert [type(event) for event in swept.of("data gone")] == [Finished]
    end = swept.end("data gone")
    assert end.status == "failed"
    assert "gone.npz" in end.reason
    assert "Traceback" in end.traceback


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"cpus": 64}, "resources.cpus: a trial asks for 64, and no node of the cluster has more than 2 "),
        ({"gpus": 64}, r"resources.gpus: a trial asks for 64, and no node of the cluster has more than \d+ "),
    ],
)
def test_more_than_any_node_has_is_refused_before_anything_begins(
    asked: dict[str, float], message: str, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.running.ray import runner

    told: list[Event] = []
    feed = Listed([Job(trials=(trial(),))], told.append)
    for begun in ("start_exchange", "Workforce"):
        monkeypatch.setattr(runner, begun, lambda *_, **__: pytest.fail("a run began"))
    monkeypatch.setattr(feed, "begin", lambda _: pytest.fail("the feed was told to begin"))
    with pytest.raises(InputError, match=message):
        runner.run(feed, resources=Resources(**asked), checkpoints=tmp_path)
    assert told == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("nodes", "asked", "number"),
    [
        ([{"CPU": 2.0}], {}, 2),
        ([{"CPU": 3.0}, {"CPU": 8.0}], {"cpus": 2}, 5),
        ([{"CPU": 64.0}, {"CPU": 4.0, "GPU": 1.0}], {"gpus": 0.5}, 2),
        ([{"CPU": 64.0}], {"at_once": 3}, 3),
    ],
)
def test_a_feed_receives_the_number_of_jobs_that_fit(
    nodes: list[dict[str, float]], asked: dict[str, float], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.running.ray import cluster

    monkeypatch.setattr(cluster.ray, "nodes", lambda: [{"Alive": True, "Resources": node} for node in nodes])
    assert cluster.workers(Resources(**asked)) == number


@pytest.mark.long
def test_trials_that_train_together_have_the_same_numbers_on_ray_and_inline(
    ray_cluster: None, trial: Trial, tmp_path: Path
) -> None:
    from search.running.ray import runner

    job = Job(trials=(trial(seed=1), trial(seed=2)))
    resources, there, here = Resources(fuse=2), list[Event](), list[Event]()
    runner.run(Listed([job], there.append), resources=resources, checkpoints=tmp_path / "there")
    inline.run(Listed([job], here.append), resources=resources, checkpoints=tmp_path / "here")
    assert {event.together for event in there if isinstance(event, Started)} == {2}
    for spec in job.trials:
        told = [[event for event in events if event.key == spec.key] for events in (there, here)]
        assert measured(told[0]) == measured(told[1])


def test_cpus_and_gpus_must_be_on_one_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large node without a GPU and a small one with a GPU: a trial that needs both would wait for ever."""
    from search.running.ray import cluster

    nodes = [
        {"Alive": True, "Resources": {"CPU": 64.0}},
        {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
    ]
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
    cluster.check(Resources(cpus=4, gpus=1))
    cluster.check(Resources(cpus=64))
    with pytest.raises(InputError, match="a trial asks for 8 CPUs and 1 GPUs, and no node of the cluster has both"):
        cluster.check(Resources(cpus=8, gpus=1))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "Failure # 1 (occurred at 2026-01-01_00-00-09)\nThe actor died unexpectedly.\n\tclass_name: Worker\n",
            "The actor died unexpectedly.",
        ),
        (
            "Failure # 1 (occurred at 2026-01-01_00-00-00)\nray::Worker.train() (pid=7, ip=10.0.0.1)\n"
            '  File "a.py", line 1, in step\nValueError: no such job\n',
            "ValueError: no such job",
        ),
        ("Failure # 1 (occurred at 2026-01-01_00-00-00)\n", "no reason given"),
    ],
)
def test_the_cause_of_a_failure_has_no_time(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "error.txt").write_text(text)
    assert failure_cause(error_lines(SimpleNamespace(error_file=str(tmp_path / "error.txt")))) == reason
    assert failure_cause(error_lines(SimpleNamespace(error_file=None))) == "no reason given"


@pytest.mark.slow
def test_an_error_while_reporting_ends_the_run(trial: Trial, tmp_path: Path) -> None:
    """A run must not continue if its store cannot be written."""
    from search.running.ray import runner

    def full(event: Event) -> None:
        raise OSError("disk full")

    try:
        with pytest.raises(Exception, match="disk full"):
            runner.run(Listed([Job(trials=(trial(),))], full), resources=Resources(), checkpoints=tmp_path)
    finally:
        kill_workers()  # a run that has a cluster of its own shuts it down; this one is shared


BENCHMARKS = str(Path(sweeping.__file__).parent)
"""Where a process of its own finds `sweeping`."""

ALONE = f"""
import sys
sys.path.append({BENCHMARKS!r})
from pathlib import Path
from resnet_space.errors import InputError
from search.running.ray import cluster, runner
from search.trials.resources import Resources
from sweeping import Listed
from search.trials.events import Finished
from search.trials.trial import Job, TrialSpec

job, folder = Job(trials=(TrialSpec.from_json(sys.argv[1]),)), Path(sys.argv[2])

def tell(event):
    if isinstance(event, Finished):
        print("finished", event.status, file=sys.stderr)

for address in ("127.0.0.1:1", "nonsense"):
    try:
        runner.run(Listed([job], tell), resources=Resources(), checkpoints=folder, address=address)
    except InputError as error:
        print("refused:", error, file=sys.stderr)
runner.run(Listed([job], tell), resources=Resources(), checkpoints=folder)
print("still up" if cluster.ray.is_initialized() else "shut down", file=sys.stderr)
"""


@pytest.mark.long
def test_a_run_starts_and_stops_a_local_ray_and_prints_nothing_on_stdout(trial: Trial, tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text(trial(epochs=1).to_json())
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    ran = forks.run(["-c", ALONE, file, tmp_path], env=environment)
    lines = ran.stderr.splitlines()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == ""
    refused = [line for line in lines if line.startswith("refused:")]
    assert [line.split()[2] for line in refused] == ["127.0.0.1:1:", "nonsense:"]
    assert lines[-2:] == ["finished complete", "shut down"]
