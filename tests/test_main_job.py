"""The main job as a user does it: run, pull the plug, run again, read the answer."""

import os
import signal
import subprocess
import time
from pathlib import Path

import forks
import pytest

from search.store.store import Store
from search.trials.record import TrialRecord

SMALL = ["--set", "width=0.25", "--set", "stages.*.units=1", "--set", "resources.retries=0", "--epochs", "3"]


def command(out: Path, *more: str) -> list[str | Path]:
    return ["-m", "resnet_space", "run", "shortcuts", "--seeds", "1", *SMALL, "--out", out, *more]


def run(out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return forks.run(command(out, *more), timeout=500)


def table(output: str) -> list[str]:
    """The rows of the table, and what is said below it, without the report's path."""
    return [line for line in output.splitlines() if not line.startswith("report: ")]


def records(out: Path) -> list[TrialRecord]:
    if not (out / "trials.db").exists():
        return []
    store = Store.at(out)
    try:
        return store.records()
    finally:
        store.close()


def complete(out: Path) -> dict[str, TrialRecord]:
    return {record.key: record for record in records(out) if record.status == "complete"}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_run_killed_half_way_and_started_again_ends_with_the_same_table(tmp_path: Path) -> None:
    undisturbed = run(tmp_path / "inline", "--inline")
    assert undisturbed.returncode == 0, undisturbed.stderr

    out = tmp_path / "killed"
    with forks.Child(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        deadline = time.monotonic() + 400
        while len(complete(out)) < 3 and time.monotonic() < deadline:
            assert driver.poll() is None, "the run ended before it could be killed"
            time.sleep(0.1)
        os.kill(driver.pid, signal.SIGKILL)
    before = complete(out)
    assert 3 <= len(before) < 11

    resumed = run(out)
    assert resumed.returncode == 0, resumed.stderr
    assert f"{len(before)} of 11 trials are stored" in resumed.stderr
    assert table(resumed.stdout) == table(undisturbed.stdout)
    after = complete(out)
    assert len(after) == 11
    assert {key: after[key] for key in before} == before
