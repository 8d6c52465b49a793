"""The progress display: counts and time left, and nothing on stdout."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from search.running.progress import Progress, format_duration
from search.trials.events import Epoch, Finished, Started


class Clock:
    """A clock that changes only when it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(*, total: int = 4, already: int = 0, terminal: bool = False) -> tuple[Progress, Clock, io.StringIO]:
    """A display of trials of 100 steps. Their names are their keys in capitals."""
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=200, highlight=False)
    progress = Progress(total=total, already=already, steps=100, console=console, clock=clock)
    progress.names = {key: key.upper() for key in [*"abcdefgh", "[/b]"]}
    return progress, clock, out


def epoch(key: str, step: int, error: float = 0.5, number: int = 1) -> Epoch:
    return Epoch(key, number, step, 0.1, 2.0, 0.5, error, 1.0, 1234.0)


def complete(key: str) -> Finished:
    return Finished(key, "complete", test_error=0.0215, validation_error=0.02, seconds=12.4)


@pytest.mark.parametrize(
    ("seconds", "face"),
    [
        (0, "0:00"),
        (5, "0:05"),
        (59.6, "1:00"),
        (185, "3:05"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (3723, "1:02:03"),
        (360_000, "100:00:00"),
    ],
)
def test_durations_are_minutes_and_seconds_or_hours_too(seconds: float, face: str) -> None:
    assert format_duration(seconds) == face


def test_a_line_says_how_a_trial_ended_and_how_many_are_done() -> None:
    progress, _, out = shown(total=10, already=2)
    with progress:
        progress.tell(Started("a", "host", "cpu"))
        progress.tell(epoch("a", 100))
        progress.tell(complete("a"))
    assert out.getvalue().splitlines() == [
        "2 of 10 trials are stored; 8 to do",
        "[3/10] A: complete, test error  2.15%, 12 s",
    ]


def test_a_line_says_with_how_many_others_a_trial_was_trained() -> None:
    progress, _, out = shown()
    for key in ("a", "b"):
        progress.tell(Started(key, "host", "cpu", together=2))
    progress.tell(complete("a"))
    assert out.getvalue() == "[1/4] A: complete, test error  2.15%, 12 s, together with 1 other\n"


def test_a_line_says_why_a_trial_did_not_end_well() -> None:
    progress, _, out = shown()
    progress.tell(Finished("a", "diverged", "loss is nan at step 4", seconds=1))
    assert out.getvalue() == "[1/4] A: diverged, loss is nan at step 4, 1 s\n"


def test_a_long_reason_stays_on_one_line() -> None:
    progress, _, out = shown()
    progress.tell(Finished("a", "failed", "x" * 500))
    assert out.getvalue().count("\n") == 1


@pytest.mark.parametrize("reason", ["OSError: [/data] is gone", "got [b, c, h, w]", "[/]", "[red]"])
def test_brackets_in_a_reason_are_text(reason: str) -> None:
    progress, _, out = shown()
    progress.tell(Finished("a", "failed", reason))
    assert reason in out.getvalue()


def test_a_line_ends_in_the_time_left() -> None:
    progress, clock, out = shown(total=3)
    progress.tell(Started("a", "host", "cpu"))
    clock.now = 65
    progress.tell(complete("a"))
    assert out.getvalue().endswith(", 2:10 left\n")


def test_no_time_left_is_shown_before_a_speed_is_known() -> None:
    progress, clock, _ = shown()
    clock.now = 100
    assert progress.seconds_left() is None
    progress.tell(Started("a", "host", "cpu"))
    assert progress.seconds_left() is None


def test_time_left_uses_the_speed_so_far_and_counts_parts_of_trials() -> None:
    progress, clock, _ = shown(total=4)
    for key in "ab":
        progress.tell(Started(key, "host", "cpu"))
    clock.now = 30
    progress.tell(complete("a"))
    progress.tell(epoch("b", 50))
    assert progress.seconds_left() == pytest.approx(30 / 1.5 * 2.5)


def test_trials_stored_before_do_not_count_as_work_of_this_session() -> None:
    progress, clock, _ = shown(total=10, already=8)
    progress.tell(Started("a", "host", "cpu"))
    clock.now = 40
    progress.tell(complete("a"))
    assert progress.seconds_left() == pytest.approx(40)


def test_parts_of_trials_from_an_earlier_session_do_not_raise_the_speed() -> None:
    progress, clock, _ = shown(total=2)
    progress.tell(Started("a", "host", "cpu", step=80))
    progress.tell(epoch("a", 80))
    assert progress.seconds_left() is None, "the epochs reported again are no work of this session"
    clock.now = 10
    progress.tell(epoch("a", 90))
    assert progress.seconds_left() == pytest.approx(10 / 0.1 * 1.1)
    clock.now = 20
    progress.tell(complete("a"))
    assert progress.seconds_left() == pytest.approx(20 / 0.2)


def test_the_work_of_a_worker_lost_in_this_session_counts_for_this_session() -> None:
    progress, clock, _ = shown(total=1)
    progress.tell(Started("a", "host", "cpu"))
    progress.tell(epoch("a", 50))
    clock.now = 10
    progress.tell(Started("a", "host", "cpu", step=50))
    progress.tell(epoch("a", 50))
    assert progress.seconds_left() == pytest.approx(10)


def test_the_display_counts_what_is_complete_running_waiting_and_bad() -> None:
    progress, clock, _ = shown(total=9, already=1)
    progress.tell(complete("a"))
    progress.tell(Finished("b", "diverged", "nan"))
    progress.tell(Started("c", "host", "cpu"))
    progress.tell(Started("d", "host", "cpu"))
    progress.tell(epoch("d", 25, error=0.25))
    clock.now = 60
    head, *running = progress.render().plain.splitlines()
    assert head.startswith("2 of 9 complete | 2 running | 4 waiting | 1 diverged | ")
    assert head.endswith("best so far 25.00% (D, validation)")
    assert running[0] == "  C: starting"
    assert " ".join(running[1].split()) == "D: 25% epoch 1 loss 2.000 validation error 25.00% 1,234 images/s"


def test_the_best_is_the_lowest_validation_error() -> None:
    progress, _, _ = shown()
    for key, error in (("a", 0.3), ("b", 0.1), ("c", 0.2)):
        progress.tell(epoch(key, 10, error))
    assert progress.best == (0.1, "B")


def test_brackets_in_a_name_are_text_in_the_display() -> None:
    progress, _, _ = shown()
    progress.tell(Started("[/b]", "host", "cpu"))
    assert "  [/B]: starting" in progress.render().plain


def test_on_a_terminal_the_live_display_runs_only_within_the_context() -> None:
    progress, _, out = shown(terminal=True)
    inside: list[bool] = []
    with progress:
        progress.tell(Started("a", "host", "cpu"))
        progress.screen.do(progress.live.refresh)
        progress.screen.do(lambda: inside.append(progress.live.is_started))
    assert inside == [True]
    assert not progress.live.is_started
    assert "1 running" in out.getvalue()


def test_the_display_ends_if_the_run_is_interrupted() -> None:
    progress, _, _ = shown(terminal=True)
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert not progress.live.is_started


def test_nothing_goes_to_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    with Progress(total=2, already=1, steps=100) as progress:
        progress.tell(Started("a", "host", "cpu"))
        progress.tell(epoch("a", 100))
        progress.tell(complete("a"))
    out, err = capfd.readouterr()
    assert out == ""
    assert "[2/2] a: complete" in err
