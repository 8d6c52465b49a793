"""A study whose trials all failed: status 1, counted reasons, and the path of the first traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from resnet_space.cli import app

STUDY = """
name: doomed
net: resnet20
set: {width: 0.25, stages.*.units: 1}
baseline: plain
arms: {plain: {}, before: {set: {unit.order: full_preactivation}}}
data: {name: digits, limit: 100}
recipe: {base: smoke, compile: true}
seeds: 2
"""


@pytest.fixture
def doomed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Every trial raises in its first step, because there is no compiler."""
    monkeypatch.chdir(tmp_path)

    def missing(*_: object, **__: object) -> None:
        raise OSError(2, "No such file or directory", "/usr/bin/c++")

    monkeypatch.setattr("torch.compile", missing)
    Path("study.yaml").write_text(STUDY)
    return CliRunner().invoke(app, ["run", "study.yaml", "--inline", "--out", "run"], catch_exceptions=False)


def test_all_trials_failed_is_status_1_with_reasons_counted_and_a_traceback(doomed: Result) -> None:
    assert doomed.exit_code == 1
    assert "4 trials failed: FileNotFoundError: [Errno 2] No such file or directory: '/usr/bin/c++'" in doomed.stdout
    [line] = [line for line in doomed.stderr.splitlines() if line.startswith("first traceback: ")]
    text = Path(line.removeprefix("first traceback: ")).read_text()
    assert text.startswith("Traceback (most recent call last):")
    assert "FileNotFoundError" in text
    assert "Trials: 4 failed." in Path("run/report/report.md").read_text()


def test_status_shows_where_the_first_traceback_is(doomed: Result) -> None:
    told = CliRunner().invoke(app, ["status", "run"], catch_exceptions=False)
    assert told.exit_code == 0
    [line] = [line for line in told.stdout.splitlines() if line.startswith("first traceback: ")]
    data = json.loads(CliRunner().invoke(app, ["status", "run", "--json"], catch_exceptions=False).stdout)
    assert data["failed"] == 4
    assert [(reason["status"], reason["trials"]) for reason in data["reasons"]] == [("failed", 4)]
    assert line.removeprefix("first traceback: ") == data["traceback"]
    assert Path(data["traceback"]).is_file()


def test_a_trial_that_failed_and_is_complete_now_has_no_traceback(
    doomed: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.compile", lambda model, **settings: model)
    again = ["run", "study.yaml", "--inline", "--out", "run", "--retry-failed"]
    assert CliRunner().invoke(app, again, catch_exceptions=False).exit_code == 0
    told = CliRunner().invoke(app, ["status", "run", "--json"], catch_exceptions=False)
    assert json.loads(told.stdout)["traceback"] is None
