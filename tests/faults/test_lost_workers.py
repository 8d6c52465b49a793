"""Workers that hang, raise, or that Ray kills for lack of memory: limited attempts, a reason, and where it happened."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forks
import pytest
import sweeping

from search.files import failures
from search.training import out_of_memory
from search.training.timeout import with_timeout
from search.trials.events import Event, Finished, Started
from search.trials.resources import Resources
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

HANGS = """
import sys, time
from pathlib import Path
from search.trials.resources import Resources
from search.trials.events import Started
from search.training.timeout import with_timeout

def events():
    yield Started("a", "host", "cpu")
    hangs_for_ever()

def hangs_for_ever():
    # In C, without letting other threads run.
    sum(range(10**15))

told = with_timeout(events(), Resources(silent=1), Path(sys.argv[1]))
print(next(told), flush=True)
time.sleep(1.5)  # Between events its clock stops: the driver's own time does not count as silence of the worker.
print("asked", flush=True)
next(told)
"""


def test_a_process_that_hangs_ends_itself_and_records_where_it_hung(tmp_path: Path) -> None:
    ran = forks.run(["-c", HANGS, tmp_path])
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[-1] == "asked"
    report = (tmp_path / failures.SILENT_FILE).read_text()
    assert report.startswith("Timeout (0:00:01)!")
    assert "in hangs_for_ever" in report


def test_a_process_that_does_not_hang_leaves_no_record(tmp_path: Path) -> None:
    events: list[Event] = [Started("a", "host", "cpu"), Finished("a", "complete")]
    assert list(with_timeout(iter(events), Resources(silent=100), tmp_path)) == events
    assert list(with_timeout(iter(events), Resources(), tmp_path)) == events
    assert list(tmp_path.iterdir()) == []


def kept(folder: Path, script: str, specs: list[TrialSpec], **environment: str) -> list[dict[str, Any]]:
    """The events of a run on its own local Ray."""
    (folder / "specs.json").write_text(json.dumps([spec.model_dump(mode="json") for spec in specs]))
    command = ["-c", RUNS + script, folder / "specs.json", folder / "checkpoints"]
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | environment
    ran = forks.run(command, env=alone)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


BENCHMARKS = str(Path(sweeping.__file__).parent)
"""Where a process of its own finds `sweeping`."""

RUNS = f"""
import json, sys
sys.path.append({BENCHMARKS!r})
from pathlib import Path
from search.running.ray import runner
from search.training.work import work as really
from search.trials.resources import Resources
from sweeping import Listed
from search.trials.events import as_plain
from search.trials.trial import Job, TrialSpec

specs = [TrialSpec.of(data) for data in json.loads(Path(sys.argv[1]).read_text())]

out = sys.stdout

def run(work=really, **resources):
    def told(event):
        print(json.dumps(as_plain(event), default=len), file=out, flush=True)  # bytes by their number
    feed = Listed([Job(trials=(spec,)) for spec in specs], told)
    runner.run(feed, resources=Resources(**resources), checkpoints=Path(sys.argv[2]), work=work)
"""

SILENT = """
# A worker imports it before its first job, not while the job is timed.
from search.training import train

def slow(job, resources, checkpoints):
    # One seed's first batch never comes: a file system that hangs.
    import time
    from unittest.mock import patch

    unharmed = train.batches

    def batches(split, *, seed=None, **settings):
        if seed == 1:
            time.sleep(10_000)
        return unharmed(split, seed=seed, **settings)

    with patch.object(train, "batches", batches):
        yield from really(job, resources, checkpoints)

run(work=slow, silent=20, retries=1, at_once=1)
"""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_worker_that_is_silent_on_ray_is_replaced_and_then_its_trial_fails(trial: Trial, tmp_path: Path) -> None:
    specs = [trial(seed=1), trial(seed=2)]
    told = kept(tmp_path, SILENT, specs)
    of = {spec.key: [event for event in told if event["key"] == spec.key] for spec in specs}
    assert [event["event"] for event in of[specs[0].key]] == ["Started", "Notice", "Started", "Finished"]
    _, note, _, end = of[specs[0].key]
    assert note["text"] == "its worker was lost, and is replaced: silent for 20 s"
    assert (end["status"], end["reason"]) == ("failed", "worker lost 2 times: silent for 20 s")
    assert "in batches" in (tmp_path / "checkpoints" / specs[0].key / failures.SILENT_FILE).read_text()
    assert of[specs[1].key][-1]["status"] == "complete"


GREEDY = """
def greedy(job, resources, checkpoints):
    import time

    yield from ()
    taken = []
    while True:
        # 20 MB in every hundredth of a second, until Ray's monitor ends this process.
        taken.append(bytearray(20_000_000))
        taken[-1][::4096] = b"x" * len(taken[-1][::4096])
        time.sleep(0.01)

from resnet_space.errors import InputError

try:
    run(work=greedy, retries=5, at_once=1)
except InputError as error:
    print(json.dumps({"event": "error", "text": str(error)}), file=out, flush=True)
"""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_worker_that_ray_kills_for_lack_of_memory_gets_one_more_attempt(trial: Trial, tmp_path: Path) -> None:
    """With Ray's own monitor, which sees a full node at an eighth more of its memory than is used now.

    Ray has two errors for it, by which of its messages comes first. One of them ends Ray Tune, which is then started
    again. Ray can also kill small processes together with the large one. If it kills the one that exchanges messages,
    the run ends with the reason.
    """
    sizes = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(sizes[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    settings = {
        "RAY_memory_usage_threshold": str(1 - free / total + 1 / 8),
        "RAY_memory_monitor_refresh_ms": "100",
    }
    told = kept(tmp_path, GREEDY, [trial()], **settings)
    end = told[-1]
    if end["event"] == "error":
        assert end["text"].startswith("the process that exchanges messages with workers was lost: ")
        return
    assert (end["event"], end["status"]) == ("Finished", "failed")
    assert end["reason"].startswith("out of memory: worker lost 2 times: ")
    assert end["reason"].endswith(out_of_memory.ADVICE)
    assert [event["event"] for event in told].count("Notice") == 1
