"""A driver that is killed again and again at any moment: the same trials with the same numbers, and none twice."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import forks
import pytest
from commands import Commands

STUDY = """
name: mortal
net: resnet20
set: {width: 0.25, stages.*.units: 1}
baseline: plain
arms: {plain: {}, drops: {set: {unit.shortcut: {kind: dropout}}}}
data: {name: digits, limit: 200}
recipe: {base: digits, epochs: 6, augmentation: {pad: 1}}
seeds: 3
resources: {checkpoint_seconds: 0}
"""

KILLS = 20 if os.environ.get("RESNET_SPACE_ALL") else 3
TRIALS = 6


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Commands, Path, float]]:
    """A function that runs commands, a folder with the undisturbed run in `whole`, and its seconds."""
    folder = tmp_path_factory.mktemp("mortal")
    (folder / "study.yaml").write_text(STUDY)
    commands = Commands(folder)
    assert commands("list presets") == 0
    began = time.monotonic()
    assert commands("run study.yaml --inline --out whole") == 0, commands.printed()
    yield commands, folder, time.monotonic() - began
    commands.close()


def rows(run: Path, table: str, leave: tuple[str, ...]) -> list[tuple[object, ...]]:
    """Everything that a run stored, without times and drivers."""
    with closing(sqlite3.connect(run / "trials.db")) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in leave]
        return sorted(connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall(), key=str)


CLOCKS = ("seconds", "images_per_second", "latency_ms", "started", "finished", "attempts", "host", "owner")


def same(run: Path, whole: Path) -> None:
    """Check for the same trials, epochs and weights, to the bit, and each of them once."""
    for table in ("trials", "epochs"):
        assert rows(run, table, CLOCKS) == rows(whole, table, CLOCKS)
    kept = {path.relative_to(whole): path.read_bytes() for path in (whole / "checkpoints").rglob("*.*")}
    assert len(kept) == TRIALS
    assert {path.relative_to(run): path.read_bytes() for path in (run / "checkpoints").rglob("*.*")} == kept


def attempts(run: Path) -> list[int]:
    with closing(sqlite3.connect(run / "trials.db")) as connection:
        return [row[0] for row in connection.execute("SELECT attempts FROM trials")]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_driver_killed_repeatedly_has_the_results_of_an_undisturbed_one(
    undisturbed: tuple[Commands, Path, float],
) -> None:
    commands, folder, seconds = undisturbed
    moments = random.Random(20)
    ends = []
    while ends.count(-signal.SIGKILL) < KILLS and len(ends) < 2 * KILLS:
        ends.append(commands("run study.yaml --inline --out killed", alive=moments.uniform(0, seconds / 8)))
    assert ends.count(-signal.SIGKILL) == KILLS
    assert commands("run study.yaml --inline --out killed") == 0
    same(folder / "killed", folder / "whole")
    assert sum(attempts(folder / "killed")) > TRIALS, "trials were under way when it was killed"
    assert attempts(folder / "whole") == [1] * TRIALS


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_killed_driver_of_ray_workers_has_the_results_of_an_undisturbed_one(
    undisturbed: tuple[Commands, Path, float], ray_cluster: None
) -> None:
    from search.running.ray import cluster

    _, folder, _ = undisturbed
    address = cluster.ray.get_runtime_context().gcs_address
    command = ["-m", "resnet_space", "run", "study.yaml", "--out", "on-ray", "--address", address]
    with forks.Child(command, cwd=folder) as driver:
        assert driver.stderr
        for line in driver.stderr:
            if line.startswith("[2/"):
                break
        driver.kill()
    assert sum(attempts(folder / "on-ray")) > 0
    done = forks.run(command, cwd=folder)
    assert done.returncode == 0, done.stderr
    same(folder / "on-ray", folder / "whole")
