"""SIGINT, SIGTERM and SIGUSR1 ask a run to stop: no more trials start, and running trials write a checkpoint."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from search.running.feed import Feed, Runner
    from search.trials.events import Event
    from search.trials.trial import Job

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)  # SIGUSR1 is not on every system

PATIENCE_SECONDS = 60.0
"""How long to wait for running trials to finish their epoch. After that, their work since the last checkpoint is
repeated when the run resumes."""


IMPORT_SECONDS = 30.0
"""How long to wait for an import to finish before it is interrupted."""
IMPORT_CHECK_SECONDS = 0.1
"""Interval between checks whether an import has finished."""


class Stopped(KeyboardInterrupt):
    """The run was asked to stop.

    A subclass, because after a plain `KeyboardInterrupt` that has passed through C code, Python kills itself with
    SIGINT, whatever the exit status.
    """


class Stop:
    """Whether a run was asked to stop, and its progress in stopping.

    The first signal is a request while trials are running: no more start, and each stops after its epoch and writes a
    checkpoint. If no trial is running, after `patience` seconds, or at a second signal, the run stops at once:
    `Stopped` is raised in the main thread. It is a `KeyboardInterrupt`, the only exception that Ray's waiting lets
    through. A running import finishes first, because C libraries abort the process if an import raises. If Python
    drops the exception, as in a callback from C, it is raised again soon after.
    """

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self.patience = patience
        self.asked: signal.Signals | None = None
        self.at_work: set[str] = set()
        """Trials that a worker has started and that have not finished an epoch since the signal."""
        self._importing_until: float | None = None

    @property
    def status(self) -> int:
        """128 plus the signal's number, as in a shell: 130 for SIGINT, 143 for SIGTERM, on Linux 138 for SIGUSR1."""
        return 128 + (self.asked or signal.SIGINT)

    @property
    def name(self) -> str:
        return (self.asked or signal.SIGINT).name

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals inside this context.

        Raises:
            KeyboardInterrupt: the run was asked to stop, and no trial is running any more.
        """
        before = {number: signal.getsignal(number) for number in SIGNALS}
        hook, sys.unraisablehook = sys.unraisablehook, self._dropped
        self.listen()
        try:
            yield
        except BaseException as error:
            if _by_ray(error):
                self.asked = self.asked or signal.SIGTERM
            if self.asked and not isinstance(error, KeyboardInterrupt):
                # An error of the interrupted code, such as a cluster that got the signal too.
                raise Stopped from None
            raise
        finally:
            sys.unraisablehook = hook
            if _in_main_thread():
                signal.setitimer(signal.ITIMER_REAL, 0)
                for number in SIGNALS:
                    # A further signal while Python shuts down ends it without a traceback.
                    signal.signal(number, signal.SIG_DFL if self.asked else before[number])

    def listen(self) -> None:
        """Install the signal handlers, also if a library has replaced them."""
        if _in_main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) != self._heard:
                    signal.signal(number, self._heard)

    @property
    def heard_elsewhere(self) -> bool:
        """Whether a library has replaced the signal handlers."""
        return _in_main_thread() and any(signal.getsignal(number) != self._heard for number in SIGNALS)

    def kept_by(self, runner: Runner) -> Runner:
        """Return the runner with a feed that, once asked to stop, gives no more jobs and stops the running ones.

        The runner raises `KeyboardInterrupt` as soon as they have stopped.
        """

        def run(feed: Feed) -> None:
            ending = Ending(feed, self)
            runner(ending)
            if self.heard_elsewhere or ending.jobs:
                # Tune handles SIGUSR1 while it starts, and then returns as if all jobs were done.
                self.asked = self.asked or SIGNALS[-1]
            if self.asked:
                raise Stopped

        return run

    def _heard(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, self.asked or signal.Signals(number)
        if again or not self.at_work:
            self._stop(frame)
            return
        signal.signal(signal.SIGALRM, self._too_late)
        # Repeated every second, because Python can be in code where it drops exceptions.
        signal.setitimer(signal.ITIMER_REAL, self.patience, 1)
        message = (
            f"{self.name}: no more trials start; waiting up to {self.patience:.0f} s for {len(self.at_work)} running "
            "to finish their epoch; a second signal stops at once"
        )
        # In a thread: the interrupted code can be a write to the same stream.
        threading.Thread(target=print, args=(message,), kwargs={"file": sys.stderr, "flush": True}).start()

    def _too_late(self, _: int, frame: FrameType | None) -> None:
        self._stop(frame)

    def _stop(self, frame: FrameType | None) -> None:
        """Raise `Stopped`, now or after a running import has finished."""
        now = time.monotonic()
        if _importing(frame):
            self._importing_until = self._importing_until or now + IMPORT_SECONDS
            if now < self._importing_until:
                self._stop_soon()
                return
        raise Stopped

    def _stop_soon(self) -> None:
        signal.signal(signal.SIGALRM, self._too_late)
        signal.setitimer(signal.ITIMER_REAL, IMPORT_CHECK_SECONDS)

    def _dropped(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Handle an exception that Python cannot raise where it occurred."""
        error = unraisable.exc_value
        if isinstance(error, Stopped) or _by_ray(error):
            self.asked = self.asked or signal.SIGTERM
            if _in_main_thread():
                self._stop_soon()
        elif not self.asked:
            # After a dropped `Stopped` other code can fail in the same place, such as the hooks of a fork.
            sys.__unraisablehook__(unraisable)


class Ending:
    """A feed that gives no more jobs once the run is asked to stop."""

    def __init__(self, feed: Feed, stop: Stop) -> None:
        self.feed, self.stop = feed, stop
        self.jobs: dict[str, frozenset[str]] = {}
        """Unfinished trials that were handed out, each with all trials of its job."""
        self.told_to_stop: set[str] = set()
        """Trials that were returned by `tell` because the run was asked to stop."""

    def begin(self, workers: int) -> None:
        self.stop.listen()
        if self.stop.asked:
            raise Stopped
        self.feed.begin(workers)

    def next(self) -> Job | None:
        self.stop.listen()
        job = None if self.stop.asked else self.feed.next()
        if job:
            keys = frozenset(spec.key for spec in job.trials)
            self.jobs |= dict.fromkeys(keys, keys)
        return job

    @property
    def idle(self) -> bool:
        return self.feed.idle

    @property
    def over(self) -> bool:
        return self.stop.asked is not None or self.feed.over

    def tell(self, events: Sequence[Event]) -> set[str]:
        """Pass events on, and return the trials to stop: all of them if the run was asked to stop.

        Each stops after its epoch with a checkpoint. The runner returns when all have: `next` gives no more jobs.
        """
        from search.trials.events import Epoch, Finished, Started

        self.stop.listen()
        stopped = self.feed.tell(events)
        for event in events:
            job = self.jobs.get(event.key, frozenset[str]())
            if isinstance(event, Finished):
                self._ended({event.key})
            elif event.key in stopped:
                self._ended(job)
            elif event.key in self.told_to_stop:
                self.stop.at_work -= job
            elif isinstance(event, Started | Epoch):
                # A worker can send it before it is told to stop, and be in its next epoch then.
                self.stop.at_work |= job & {event.key}
        if self.stop.asked:
            self.told_to_stop |= self.jobs.keys()
            stopped |= self.jobs.keys()
        return stopped

    def _ended(self, keys: frozenset[str] | set[str]) -> None:
        self.stop.at_work -= keys
        for key in keys:
            self.jobs.pop(key, None)


def _by_ray(error: BaseException | None) -> bool:
    """Whether the error comes from Ray's handler during its start, which exits with the number of SIGTERM."""
    return isinstance(error, SystemExit) and error.code == signal.SIGTERM


def _importing(frame: FrameType | None) -> bool:
    """Whether an import was running when the signal arrived."""
    while frame:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
