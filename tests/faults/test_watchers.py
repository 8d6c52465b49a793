"""Who watches a run may hang or break: the display, the terminal, the energy counters. No trial notices."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event as Flag

import forks
import pytest
from rich.console import Console

from search.machine.energy import metered
from search.running import progress as progress_module
from search.running.progress import Progress
from search.running.screen import Screen
from search.trials.events import Epoch, Finished, Notice, Started

STUDY = """
name: watched
net: resnet20
set: {width: 0.25, stages.*.units: 1}
baseline: plain
arms: {plain: {}, before: {set: {unit.order: full_preactivation}}}
data: {name: digits, limit: 100}
recipe: smoke
seeds: 1
"""


class Hangs(io.StringIO):
    """A terminal that somebody stopped with Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.released = Flag(), Flag()

    def write(self, text: str) -> int:
        self.reached.set()
        self.released.wait()
        return len(text)


class Breaks(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def shown(out: io.StringIO, clock: Callable[[], float] = lambda: 0.0) -> Progress:
    console = Console(file=out, force_terminal=False, width=200)
    return Progress(total=2, already=0, steps=10, console=console, clock=clock)


def test_a_terminal_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.running.screen.PATIENCE", 0.05)
    out = Hangs()
    with shown(out) as progress:
        for number in range(20_000):
            progress.tell(Notice("a", f"line {number}"))
        assert out.reached.wait(10)
        progress.tell(Finished("a", "complete", test_error=0.1))
        assert progress.ended["complete"] == 1
    out.released.set()


def test_a_terminal_that_is_gone_ends_the_showing_and_nothing_else() -> None:
    with shown(Breaks()) as progress:
        for key in "ab":
            progress.tell(Started(key, "host", "cpu"))
            progress.tell(Finished(key, "complete", test_error=0.1))
    assert progress.screen.broken
    assert progress.ended["complete"] == 2


def test_what_raises_aside_does_not_raise_here() -> None:
    def fails() -> None:
        raise RuntimeError("no such colour")

    done: list[int] = []
    with Screen(lambda: None) as screen:
        screen.do(lambda: done.append(1))
        screen.do(fails)
        screen.do(lambda: done.append(2))
    assert done == [1]


def run(folder: Path, err: int) -> subprocess.CompletedProcess[str]:
    (folder / "study.yaml").write_text(STUDY)
    command = ["-m", "resnet_space", "run", "study.yaml", "--inline", "--out", "run"]
    return forks.run(command, cwd=folder, stderr=err)


@pytest.mark.long
@pytest.mark.parametrize("reader", ["gone", "asleep"])
def test_a_run_whose_stderr_nobody_reads_ends_well(reader: str, tmp_path: Path) -> None:
    """A pipe that was closed, and one that is full."""
    back, to = os.pipe()
    if reader == "gone":
        os.close(back)
    else:
        os.set_blocking(to, False)
        with suppress(BlockingIOError):
            while True:
                os.write(to, b"x" * 4096)
        os.set_blocking(to, True)
    try:
        done = run(tmp_path, to)
    finally:
        os.close(to)
        if reader == "asleep":
            os.close(back)
    assert done.returncode == 0
    assert "report: run/report/report.md" in done.stdout
    assert done.stdout.count("plain") > 0


def test_one_that_is_silent_for_long_is_told_once_until_it_is_heard_again() -> None:
    now = 0.0
    out = io.StringIO()
    progress = shown(out, lambda: now)

    def after(seconds: float) -> list[str]:
        nonlocal now
        now += seconds
        progress.look()
        return out.getvalue().splitlines()

    progress.tell(Started("a", "host", "cpu"))
    assert after(100_000) == [], "nothing is known of how long an epoch takes"
    progress.tell(Started("a", "host", "cpu"))
    for number in (1, 2):
        after(20)
        progress.tell(Epoch("a", number, 5, 0.1, 2.0, 0.5, 0.5, 1.0, 100.0))
    assert after(progress_module.LONG * 20) == []
    line = "a: silent for 3:21; the longest pause so far was 0:20"
    assert after(1) == [line]
    assert after(500) == [line], "once"
    progress.tell(Epoch("a", 3, 6, 0.1, 2.0, 0.5, 0.5, 1.0, 100.0))
    assert after(100) == [line], "ten pauses of this length are not over"
    progress.tell(Finished("a", "complete", test_error=0.1))
    assert [text for text in after(1_000_000) if "silent" in text] == [line]


def test_a_counter_of_energy_that_hangs_costs_seconds_and_gives_no_number(tmp_path: Path) -> None:
    package = tmp_path / "intel-rapl:0"
    package.mkdir()
    # Who reads a pipe that nobody writes to waits for ever.
    os.mkfifo(package / "max_energy_range_uj")
    (package / "energy_uj").write_text("1\n")
    with metered(tmp_path, timeout=0.05) as energy:
        pass
    assert energy.joules is None


def test_counters_of_energy_that_break_give_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("firmware")

    monkeypatch.setattr("search.machine.energy.Meter", broken)
    with metered(tmp_path) as energy:
        pass
    assert energy.joules is None
    assert "firmware" in caplog.text
