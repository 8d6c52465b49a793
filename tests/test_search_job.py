"""The second job as a user does it: plan a search, run it, pull the plug, ask the front, take a network away."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import forks
import pytest

from resnet_space import Architecture, Space, cli, complexity, documents
from search.store.store import Store
from search.trials.record import TrialRecord

STUDY: dict[str, Any] = {
    "name": "small",
    "kind": "search",
    "question": "What is best among the small ones?",
    "space": {
        "base": "resnet20",
        "set": {"width": 0.25},
        "axes": {
            "unit.shortcut.kind": ["identity", "shortcut_only_gate", "none"],
            "unit.shortcut.gate_bias": [-6, 0],
            "stages.*.units": [1, 2, 3],
        },
    },
    "constraints": ["macs <= 120000"],
    "reference": {"error": 1, "macs": 120000},
    "budget": {"trials": 5},
    "stopping": {"kind": "mo_asha", "grace": 1, "reduction": 2},
    "confirm": 2,
    "data": {"name": "digits", "limit": 200},
    "recipe": {"base": "digits", "epochs": 4},
    "resources": {"retries": 0},
}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "small.yaml"
    path.write_text(documents.write(STUDY | changes))
    return path


class Told(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def call(*arguments: object, cwd: Path | None = None) -> Told:
    """The command line in this process, which has torch loaded already."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["resnet-space", *map(str, arguments)])
        if cwd:
            patch.chdir(cwd)
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
    return Told(status, out.getvalue(), err.getvalue())


def records(out: Path) -> list[TrialRecord]:
    if not (out / "trials.db").exists():
        return []
    store = Store.at(out)
    try:
        return store.records()
    finally:
        store.close()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that has ended."""
    folder = tmp_path_factory.mktemp("search")
    ran = call("run", write(folder), "--out", folder / "run", "--inline")
    assert ran.returncode == 0, ran.stderr
    assert "confirmed" in ran.stdout
    return folder / "run"


@pytest.fixture
def front(found: Path) -> Callable[..., Any]:
    def ask(*arguments: str) -> Any:
        told = call("front", found, *arguments, "--format", "json")
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    return ask


@pytest.mark.slow
def test_the_front_is_confirmed_and_no_member_dominates_another(front: Callable[..., Any]) -> None:
    points = front()
    assert points
    for point in points:
        assert {"key", "error", "error_std", "n", "macs", "params", "p_nondominated", "confirmed"} <= point.keys()
        assert point["confirmed"]
        assert point["n"] == 2
        assert 0 <= point["error"] <= 1
        net = Architecture.of(point["architecture"])
        assert (net.key, complexity(net).macs) == (point["key"], point["macs"])
        others = [other for other in points if other is not point]
        assert not any(other["error"] <= point["error"] and other["macs"] <= point["macs"] for other in others)


@pytest.mark.slow
def test_filters_objectives_and_budgets_narrow_the_front(front: Callable[..., Any]) -> None:
    assert all(point["depth"] == 8 for point in front("--where", "depth < 10"))
    assert all(p["architecture"]["unit"]["shortcut"]["kind"] == "none" for p in front("--where", "shortcut == none"))
    (best,) = front("--objectives", "error")[:1]
    assert best["error"] == min(point["error"] for point in front())
    (budgeted,) = front("--budget", "macs <= 1e5")
    assert budgeted["error"] == best["error"]
    assert len(front("--knee")) == 1
    assert front("--where", "macs < 1") == []


@pytest.mark.slow
def test_as_csv_and_as_a_table_it_says_the_same(found: Path, front: Callable[..., Any]) -> None:
    points = front()
    rows = list(csv.DictReader(io.StringIO(call("front", found, "--format", "csv").stdout)))
    assert [row["key"] for row in rows] == [point["key"] for point in points]
    assert [float(row["error"]) for row in rows] == [point["error"] for point in points]
    assert json.loads(rows[0]["architecture"]) == points[0]["architecture"]
    assert list(rows[0]) == list(points[0])
    empty = call("front", found, "--where", "macs < 1", "--format", "csv").stdout
    assert empty.strip().split(",") == list(points[0])
    table = call("front", found, "--reference", "error=1,macs=1e6").stdout
    assert all(point["key"] in table for point in points)
    assert "hypervolume: " in table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objectives", "eror"], "did you mean 'error'? allowed: error, macs, params, activations, latency_ms"),
        (["--objectives", "error,error"], "objective 'error' is given 2 times; give it once"),
        (["--where", "macs < and depth"], "--where: macs < and depth: column 8"),
        (["--where", "colour == red"], "--where: colour == red: column 1"),
        (["--budget", "macs <= 5"], "no network meets macs <= 5; the nearest has macs = "),
        (["--reference", "error=0,macs=1e9"], "inside the front"),
        (["--reference", "error=1"], "needs a number for each of error, macs"),
        (["--reference", "error=much,macs=1"], "must be NAME=NUMBER, such as error=1; got 'error=much'"),
        (["--format", "xml"], "allowed: table, json, csv"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_so(found: Path, arguments: list[str], message: str) -> None:
    told = call("front", found, *arguments)
    assert told.returncode == 2
    assert message in told.stderr
    assert told.stdout == ""


@pytest.mark.slow
def test_the_report_shows_the_front_and_how_it_came_to_be(found: Path) -> None:
    told = call("report", found)
    assert told.returncode == 0, told.stderr
    text = (found / "report" / "report.md").read_text()
    assert "What is best among the small ones?" in text
    assert "(front-macs.svg)" in text
    assert "hypervolume of the search" in text
    for name in ("front-macs.svg", "front-macs.png", "hypervolume.svg", "hypervolume.png"):
        assert (found / "report" / name).stat().st_size > 1000


@pytest.mark.slow
def test_a_member_of_the_front_is_taken_away_as_python(found: Path, front: Callable[..., Any], tmp_path: Path) -> None:
    point = front()[0]
    told = call("export", found, "--arm", point["key"][:9], "--to", tmp_path / "chosen.py")
    assert told.returncode == 0, told.stderr
    ran = subprocess.run([sys.executable, tmp_path / "chosen.py"], capture_output=True, text=True, check=False)
    assert f"macs {point['macs']}" in ran.stdout, ran.stderr


@pytest.mark.slow
def test_the_dashboard_gets_every_trial_in_its_state(found: Path) -> None:
    told = call("dashboard", found)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("optuna-dashboard sqlite:///")
    with sqlite3.connect(found / "optuna.db") as database:
        states = [state for (state,) in database.execute("select state from trials")]
    searched = [record for record in records(found) if record.proposal]
    expected = {"complete": "COMPLETE", "pruned": "PRUNED", "infeasible": "PRUNED"}
    assert sorted(states) == sorted(expected[record.status] for record in searched)


@pytest.mark.slow
def test_the_same_command_again_has_nothing_to_do(found: Path) -> None:
    before = records(found)
    again = call("run", write(found.parent), "--out", found, "--inline")
    assert again.returncode == 0
    assert records(found) == before


@pytest.mark.slow
def test_another_space_says_what_changed_and_keeps_what_is_valid(found: Path, tmp_path: Path) -> None:
    for name in ("study.yaml", "manifest.json", "trials.db"):
        (tmp_path / name).write_bytes((found / name).read_bytes())
    space = STUDY["space"] | {"axes": STUDY["space"]["axes"] | {"unit.shortcut.kind": ["identity", "none"]}}
    smaller = write(found.parent, space=space)
    told = call("run", smaller, "--out", tmp_path, "--inline", "--set", "stopping=none")
    write(found.parent)
    assert told.returncode == 0, told.stderr
    assert "space.axes.unit.shortcut.kind is now ['identity', 'none']" in told.stderr
    kinds = {
        point["architecture"]["unit"]["shortcut"]["kind"]
        for point in json.loads(call("front", tmp_path, "--format", "json").stdout)
    }
    assert kinds <= {"identity", "none"}
    assert len(records(tmp_path)) >= len(records(found))


@pytest.mark.slow
def test_a_plan_tells_the_space_and_the_time_and_trains_nothing(tmp_path: Path) -> None:
    told = call("plan", write(tmp_path), "--json", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    plan = json.loads(told.stdout)
    assert plan["trials"] == 5
    assert plan["space"]["raw"] == 18
    assert plan["space"]["exact"]
    nets = list(Space.of(STUDY["space"]).enumerate())
    assert plan["space"]["distinct"] <= len(nets)
    assert plan["space"]["most"]["macs"] <= 120_000
    assert plan["device_hours"] > 0
    assert not (tmp_path / "runs").exists()
    assert "estimated by timing a few steps" in call("plan", write(tmp_path), cwd=tmp_path).stdout


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"constraints": ["macs <= 10"]}, "nothing in the space meets macs <= 10; the nearest has macs = "),
        ({"objectives": ["error", "speed"]}, "allowed: error, macs, params, activations, latency_ms"),
        ({"objectives": ["error", "error"]}, "'error' is given 2 times; give it once"),
        ({"constraints": ["macs <"]}, "column 7"),
        ({"sampler": "annealing"}, "sampler"),
        ({"budget": {}}, "has no end"),
        ({"reference": {"error": 1}}, "reference"),
    ],
)
def test_a_search_that_cannot_be_is_refused(verb: str, changes: Any, message: str, tmp_path: Path) -> None:
    told = call(verb, write(tmp_path, **changes), cwd=tmp_path)
    assert told.returncode == 2, told.stderr
    assert message in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_search_killed_half_way_and_started_again_loses_and_doubles_no_trial(tmp_path: Path) -> None:
    out, study = tmp_path / "run", write(tmp_path, recipe={"base": "digits", "epochs": 12}, stopping="none")
    arguments = ["-m", "resnet_space", "run", study, "--out", out]
    with forks.Child(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        deadline = time.monotonic() + 200
        while sum(r.status == "complete" for r in records(out)) < 2 and time.monotonic() < deadline:
            assert driver.poll() is None, "the run ended before it could be killed"
            time.sleep(0.1)
        os.kill(driver.pid, signal.SIGKILL)
    before = {r.key: r for r in records(out) if r.status == "complete"}
    assert 2 <= len(before) < 5
    resumed = forks.run(arguments, timeout=500)
    assert resumed.returncode == 0, resumed.stderr
    after = {record.key: record for record in records(out)}
    assert {key: after[key] for key in before} == before
    searched = [record for record in after.values() if record.proposal and record.status != "infeasible"]
    assert len(searched) == len({record.architecture for record in searched}) == 5
    assert {record.status for record in after.values()} <= {"complete", "infeasible"}
    assert all(point["confirmed"] for point in json.loads(call("front", out, "--format", "json").stdout))


@pytest.mark.slow
def test_a_search_whose_trials_all_fail_ends_with_status_1_and_the_reasons(tmp_path: Path) -> None:
    study = write(tmp_path, recipe={"base": "digits", "epochs": 4, "lr": 1e30}, stopping="none")
    told = call("run", study, "--out", tmp_path / "run", "--inline")
    assert told.returncode == 1
    assert "of 5 trials" in told.stdout
    assert "diverged: loss is" in told.stdout
