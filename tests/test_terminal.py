"""What a command prints reaches whatever it is given to: terminals without signs, without width, closed, full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs import STUDY

from resnet_space import documents

DOOR = [sys.executable, "-m", "resnet_space"]

NARROW: dict[str, dict[str, str]] = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "the C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
}
"""Encodings that have not all signs."""

ODD: list[dict[str, str]] = [{"COLUMNS": "0"}, {"COLUMNS": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1"}, {"TERM": ""}]


def call(
    *arguments: str | bytes, at: Path, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*DOOR, *arguments],
        cwd=at,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a study whose arm has a name that few encodings have."""
    study = STUDY | {"arms": {"é–安": {}, "gated": {"set": {"unit.shortcut": "exclusive_gate"}}}, "baseline": "é–安"}
    (tmp_path / "brief.yaml").write_text(documents.write(study), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("terminal", NARROW)
def test_signs_that_a_terminal_has_not_are_written_out(terminal: str, folder: Path) -> None:
    done = call("plan", "brief.yaml", at=folder, **NARROW[terminal])
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u5b89" in done.stdout, "the last sign of the arm's name"
    done = call("plan", "brief.yaml", at=folder, PYTHONIOENCODING="utf-8")
    assert "é–安" in done.stdout.decode()


@pytest.mark.long
@pytest.mark.parametrize("terminal", NARROW)
def test_a_study_runs_and_is_read_on_such_a_terminal(terminal: str, folder: Path) -> None:
    done = call("run", "brief.yaml", "--epochs", "1", "--inline", "--out", b"r\xe9", at=folder, **NARROW[terminal])
    assert done.returncode == 0, done.stderr
    for verb in ("status", "front", "report"):
        done = call(verb, b"r\xe9", at=folder, **NARROW[terminal])
        assert (done.returncode, done.stderr) == (0, b"")
    assert "é–安" in (Path(os.fsdecode(os.path.join(os.fsencode(folder), b"r\xe9"))) / "report/report.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((b"show", b"r\xe9s"), b"error: unknown preset 'r\\udce9s'; allowed: "),
        ((b"show", b"resnet20", b"--set", b"\xe9=1"), b"error: \\udce9: has bytes that are no text in UTF-8; "),
        ((b"status", b"r\xe9s"), b"error: r\\udce9s: not a run's folder "),
        ((b"status", b".", b"--storage", b"sqlite:///\xe9"), b"error: sqlite:///\\udce9: has bytes that are no text"),
        ((b"run", b"shortcuts", b"--checkpoints", b"s3://\xe9/x"), b"error: s3://\\udce9/x: has bytes that are no"),
        ((b"run", b"shortcuts", b"--address", b"\xe9:1"), b"error: \\udce9:1: has bytes that are no text in UTF-8; "),
    ],
)
def test_bytes_that_are_no_text_get_one_line_and_status_2(
    arguments: tuple[bytes, ...], says: bytes, tmp_path: Path
) -> None:
    done = call(*arguments, at=tmp_path, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(says), done.stderr
    assert done.stderr.count(b"\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_name_is_no_text_is_said_where_it_would_be_part_of_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from resnet_space import cli

    def app() -> None:
        '{"folder": "r\udce9"}'.encode()

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "has bytes that are no text in UTF-8; give it another name" in capsys.readouterr().err


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_stream_that_is_closed_or_full_changes_no_status(closed: str, tmp_path: Path) -> None:
    for arguments, status in (("show resnet20 --json", 0), ("list", 0), ("show resnet21", 2)):
        line = f'"$0" -m resnet_space {arguments} {closed}'
        done = subprocess.run(["sh", "-c", line, sys.executable], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == status, done.stderr
        assert b"Traceback" not in done.stderr


def test_results_that_cannot_be_written_are_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = call("show", "resnet20", at=tmp_path, stdout=full.fileno())
    assert done.returncode == 2
    assert done.stderr == b"error: [Errno 28] No space left on device\n"


def test_a_reader_that_has_gone_ends_the_command_in_silence(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = call("list", at=tmp_path, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("environment", ODD, ids=str)
def test_no_width_and_no_kind_of_terminal_is_too_odd(environment: dict[str, str], tmp_path: Path) -> None:
    for arguments, status in ((("list",), 0), (("--help",), 0), (("run", "--nope"), 2)):
        done = call(*arguments, at=tmp_path, **environment)
        assert done.returncode == status, done.stderr
        assert b"Traceback" not in done.stderr
