"""Where a signal comes decides when it stops a run: after an import, and again where its exception was dropped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import forks
import pytest
from sweeping import Listed

from search.running.signals import Ending, Stop
from search.trials.events import Epoch, Event, Finished, Started
from search.trials.trial import Job, TrialSpec

BEGIN = """
import os, signal, sys, time
from search.running.signals import Stop, Stopped

stop = Stop()
"""

IMPORTS = """
sys.path.insert(0, os.getcwd())
try:
    with stop.listening():
        import interrupted
        print("went on", flush=True)
        time.sleep(100)
except Stopped:
    print("stopped,", "interrupted" in sys.modules and sys.modules["interrupted"].ended)
"""

DROPS = """
class Drops:
    def __del__(self):
        # What is raised here, Python drops.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

if sys.argv[1] == "ray":
    handler = lambda number, frame: sys.exit(number)
try:
    with stop.listening():
        if sys.argv[1] == "ray":
            signal.signal(signal.SIGTERM, handler)
        Drops()
        print("dropped", flush=True)
        time.sleep(100)
except Stopped:
    print("stopped by", stop.asked.name)
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_during_an_import_stops_the_run_after_it(number: str, tmp_path: Path) -> None:
    """A library in C may abort the process where what it imports raises."""
    (tmp_path / "interrupted.py").write_text(
        f"import os, signal, time\nos.kill(os.getpid(), signal.{number})\ntime.sleep(0.3)\nended = True\n"
    )
    ran = forks.run(["-c", BEGIN + IMPORTS], cwd=tmp_path, timeout=60)
    assert (ran.stdout.splitlines()[-1:], ran.stderr) == (["stopped, True"], "")


def test_an_import_that_does_not_end_is_interrupted(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(100)\nended = True\n"
    )
    soon = "import search.running.signals\nsearch.running.signals.IMPORT_SECONDS = 0.5\n"
    ran = forks.run(["-c", soon + BEGIN + IMPORTS], cwd=tmp_path, timeout=60)
    assert (ran.stdout, ran.stderr) == ("stopped, False\n", "")


@pytest.mark.parametrize("handler", ["own", "ray"])
def test_a_stop_that_python_drops_comes_again(handler: str, tmp_path: Path) -> None:
    """Also where a library has the signal, as Ray does while it starts, and exits with its number."""
    ran = forks.run(["-c", BEGIN + DROPS, handler], cwd=tmp_path, timeout=60)
    assert (ran.stdout, ran.stderr) == ("dropped\nstopped by SIGTERM\n", "")


def test_a_stop_waits_for_an_epoch_of_every_trial_and_not_for_those_that_were_stopped_before(
    trial: Callable[..., TrialSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of a trial that was stopped can still be on their way."""
    monkeypatch.setattr(Stop, "listen", lambda _: None)
    jobs = [Job(trials=(trial(seed=seed),)) for seed in range(3)]
    first, second, third = (job.trials[0].key for job in jobs)

    class Stopping(Listed):
        def tell(self, events: Sequence[Event]) -> set[str]:
            return {event.key for event in events} & {third}

    stop = Stop()
    feed = Ending(Stopping(jobs, lambda _: None), stop)
    while feed.next():
        pass
    assert feed.tell([Started(key, "host", "cpu") for key in (first, second)]) == set()
    assert feed.tell([Started(third, "host", "cpu"), epoch(third), epoch(second)]) == {third}
    assert stop.at_work == {first, second}
    stop.asked = signal.SIGTERM
    assert feed.tell([]) == {first, second}, "at once, whatever they are doing"
    assert feed.tell([epoch(third)]) == {first, second, third}
    assert stop.at_work == {first, second}
    feed.tell([epoch(first)])
    assert stop.at_work == {second}
    feed.tell([epoch(second), Finished(second, "complete", test_error=0.5)])
    assert stop.at_work == set()
    assert feed.over


def test_an_epoch_that_was_sent_before_its_worker_heard_of_a_stop_is_not_its_last(
    trial: Callable[..., TrialSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is in its next epoch, whose checkpoint the stop waits for."""
    monkeypatch.setattr(Stop, "listen", lambda _: None)
    job = Job(trials=(trial(seed=0), trial(seed=1)))
    one, other = (spec.key for spec in job.trials)
    stop = Stop()
    feed = Ending(Listed([job], lambda _: None), stop)
    feed.next()
    feed.tell([Started(one, "host", "cpu"), Started(other, "host", "cpu")])
    stop.asked = signal.SIGTERM
    assert feed.tell([epoch(one), epoch(other)]) == {one, other}
    assert stop.at_work == {one, other}
    feed.tell([epoch(one)])
    assert stop.at_work == set(), "one worker trains both"
    assert feed.next() is None


def epoch(key: str) -> Epoch:
    return Epoch(key, 1, 7, 0.1, 2.0, 0.5, 0.5, 1.0, 200.0)
