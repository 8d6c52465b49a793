"""Storage as a user sees it: a PostgreSQL that drivers share, a folder with one driver, a damaged file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import forks
import pytest
from processes import still
from verbs import Cli

from reports.document.image_tables import NOTHING_STORED
from search.files.lock import lock_folder
from search.store.claims import registered
from search.store.store import Store

SMALL = ["--set", "width=0.25", "--set", "stages.*.units=1", "--set", "data.limit=200", "--inline"]
STUDY = ["transitions", "--seeds", "1", "--epochs", "1", *SMALL]
SEARCH = """
name: mine
kind: search
space: {base: resnet20, set: {stages.*.units: 1}, axes: {width: [0.25, 0.5]}}
budget: {trials: 2}
confirm: 0
data: {name: fake, size: 8, samples: 120}
recipe: smoke
"""


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = Store(url, new=False)
    try:
        yield store
    finally:
        store.close()


def test_a_run_with_trials_in_postgresql_runs_resumes_and_is_read_there(
    resnet_space: Cli, postgresql_url: str, tmp_path: Path
) -> None:
    storage = ["--storage", postgresql_url]
    ran = resnet_space("run", *STUDY, "--out", "here", *storage)
    assert ran.status == 0, ran.err
    assert ran.err.count("complete, test error") == 3
    assert not (tmp_path / "here" / "trials.db").exists()

    again = resnet_space("run", *STUDY, "--out", "here", *storage)
    assert again.out == ran.out
    assert again.err == "3 of 3 trials are stored; 0 to do\n"
    assert json.loads(resnet_space("status", "here", "--json", *storage).out)["complete"] == 3
    points = json.loads(resnet_space("front", "here", "--format", "json", *storage).out)
    assert points
    assert {"key", "error", "macs"} <= points[0].keys()
    reported = resnet_space("report", "here", "--format", "csv", *storage)
    assert (reported.status, reported.out) == (0, "here/report/report.csv\n")
    assert len((tmp_path / "here" / "report" / "report.csv").read_text().splitlines()) == 4

    unasked = resnet_space("status", "here")
    assert unasked.status == 2
    assert "to read them there, give --storage URL" in unasked.err


DRIVER = """
import sys
from search.store import claims
claims.LEASE_SECONDS, claims.HEARTBEAT_SECONDS = 10.0, 0.5
from resnet_space.cli import main
main()
"""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_drivers_share_a_study_and_one_finishes_it_when_the_other_is_killed(
    resnet_space: Cli, postgresql_url: str, tmp_path: Path
) -> None:
    study = ["shortcuts", "--seeds", "1", "--epochs", "1", *SMALL]
    storage = ["--storage", postgresql_url]

    def driver(out: str) -> forks.Child:
        return forks.Child(["-c", DRIVER, "run", *study, "--out", out, *storage], cwd=tmp_path)

    # Create the store first, so that the test can read it.
    Store(postgresql_url).close()
    with driver("one") as one, driver("two") as two, opened(postgresql_url) as store:

        def until(what: Callable[[], object]) -> None:
            deadline = time.monotonic() + 400
            while not what():
                assert time.monotonic() < deadline
                ended = [each for each in (one, two) if each.poll() is not None]
                assert not ended, ended[0].communicate()
                time.sleep(0.05)

        def owners() -> set[str]:
            with store.engine.connect() as connection:
                rows = connection.exec_driver_sql("SELECT owner FROM trials WHERE status = 'complete'")
                return {row[0].rpartition(":")[0].rpartition(":")[2] for row in rows if row[0]}

        until(owners)
        # The first driver could finish everything before the other starts.
        first, other = (one, two) if owners() == {str(one.pid)} else (two, one)
        with still(first.pid):
            until(lambda: len(owners()) == 2)
            first.kill()
        before = {record.key: record for record in store.records() if record.status == "complete"}
        out, err = other.communicate(timeout=400)
        assert other.returncode == 0, err
        after = {record.key: record for record in store.records()}
    assert 2 <= len(before) < len(after) == 11
    assert {record.status for record in after.values()} == {"complete"}
    assert {key: after[key] for key in before} == before, "once, and unchanged"
    assert {record.attempts for record in before.values()} == {1}
    assert sum(record.attempts for record in after.values()) <= len(after) + 1, "one retry: the killed driver's trial"
    alone = resnet_space("run", *study, "--out", "alone")
    assert out.replace("one/" if other is one else "two/", "alone/") == alone.out, "the answer of a single driver"


def test_a_second_driver_of_a_search_is_refused(resnet_space: Cli, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(SEARCH)
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    other = Store(url)
    with registered(other.claims, "anvil:77:x", None, every=0.02):
        second = resnet_space("run", "study.yaml", "--inline", "--out", "second", "--storage", url)
    other.close()
    assert second.status == 2
    assert "process 77 on anvil already drives this search, and a search has one driver" in second.err
    assert resnet_space("run", "study.yaml", "--inline", "--out", "second", "--storage", url).status == 0


def test_a_folder_with_a_driver_refuses_a_second_one_and_can_be_read(resnet_space: Cli, tmp_path: Path) -> None:
    assert resnet_space("run", *STUDY, "--out", "here").status == 0
    with lock_folder(tmp_path / "here", "first"):
        for verb in (["run", *STUDY, "--out", "here"], ["repair", "here"]):
            result = resnet_space(*verb)
            assert (result.status, result.out) == (2, "")
            assert f"/here: process {os.getpid()} on " in f"/{result.err.removeprefix('error: ')}"
            assert "is running here; wait for its end or stop it, or choose another --out\n" in result.err
        assert resnet_space("status", "here").status == 0
    assert resnet_space("run", *STUDY, "--out", "here").status == 0


def test_a_damaged_store_names_the_remedy_and_the_run_resumes_after_repair(resnet_space: Cli, tmp_path: Path) -> None:
    ran = resnet_space("run", *STUDY, "--out", "here")
    assert resnet_space("repair", "here").out == "nothing is wrong: 3 trials, 3 of them ended, and 3 epochs\n"
    file = tmp_path / "here" / "trials.db"
    with file.open("rb+") as data:
        data.truncate(file.stat().st_size - 8192)
    for verb in (["status", "here"], ["report", "here"], ["run", *STUDY, "--out", "here"]):
        result = resnet_space(*verb)
        assert (result.status, result.out) == (2, "")
        assert "`resnet-space repair " in result.err
        assert result.err.count("\n") == 1
    repaired = resnet_space("repair", "here")
    assert repaired.status == 0
    assert repaired.out.startswith("recovered ")
    assert "the damaged file is kept: here/trials.db.damaged-1\n" in repaired.out
    assert resnet_space("report", "here").status in (0, 2), "there can be no trial left to report"
    again = resnet_space("run", *STUDY, "--out", "here")
    assert again.status == 0, again.err
    # The predictions of a complete trial can be lost: it does not run again, and the report says so.
    assert again.out.replace(f"{NOTHING_STORED}\n", "") == ran.out


def test_repair_refuses_a_folder_without_a_store(resnet_space: Cli, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "study.yaml").write_text(SEARCH)
    result = resnet_space("repair", "here")
    assert (result.status, result.err) == (2, "error: here: there is no trials.db\n")
