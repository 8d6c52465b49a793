"""SIGINT, SIGTERM and SIGUSR1 ask a run to stop: nothing more begins, running trials leave a checkpoint."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
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
"""How long running trials may take to end their epoch; then what they did since their last checkpoint is done again
when the run goes on."""


IMPORT_SECONDS = 30.0
"""How long an import may take to end, before it is interrupted."""
AGAIN_SECONDS = 0.1
"""After so many it is looked again whether an import has ended."""


class Stopped(KeyboardInterrupt):
    """It was asked to stop.

    A class of its own: where the plain one has passed through C, Python ends itself by SIGINT, whatever the status.
    """


class Stop:
    """Whether a run was asked to stop, and how far it is with that.

    The first signal is a request, as long as trials are at work: no more are begun, and each is stopped after its
    epoch, where it leaves a checkpoint. With nothing at work, after `patience` seconds, and at a second signal it ends
    at once, by a `Stopped` in the main thread: a `KeyboardInterrupt`, which is the one exception that Ray passes on
    from its own waiting. An import that is under way ends first: libraries in C abort the process where an exception
    comes out of what they import. Where Python drops the exception, as in a callback from C, it is raised again soon.
    """

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self.patience = patience
        self.asked: signal.Signals | None = None
        self.at_work: set[str] = set()
        """Trials that a worker has taken up, and that have ended no epoch since the signal."""
        self._importing_until: float | None = None

    @property
    def status(self) -> int:
        """128 and the signal's number, as a shell has it: 130 for SIGINT, 143 for SIGTERM, on Linux 138 for SIGUSR1."""
        return 128 + (self.asked or signal.SIGINT)

    @property
    def name(self) -> str:
        return (self.asked or signal.SIGINT).name

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals while it lasts.

        Raises:
            KeyboardInterrupt: it was asked to stop, and nothing is at work any more.
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
                # Of what was interrupted, such as a cluster that got the signal too.
                raise Stopped from None
            raise
        finally:
            sys.unraisablehook = hook
            if _in_main_thread():
                signal.setitimer(signal.ITIMER_REAL, 0)
                for number in SIGNALS:
                    # One more, while Python takes itself down, ends it without a traceback.
                    signal.signal(number, signal.SIG_DFL if self.asked else before[number])

    def listen(self) -> None:
        """Take the signals, also from a library that has taken them since."""
        if _in_main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) != self._heard:
                    signal.signal(number, self._heard)

    @property
    def heard_elsewhere(self) -> bool:
        """Whether a library has the signals now."""
        return _in_main_thread() and any(signal.getsignal(number) != self._heard for number in SIGNALS)

    def kept_by(self, runner: Runner) -> Runner:
        """The runner, with a feed that has no more jobs once it is asked to stop, and stops those at work.

        It raises `KeyboardInterrupt` as soon as they have stopped.
        """

        def run(feed: Feed) -> None:
            ending = Ending(feed, self)
            runner(ending)
            if self.heard_elsewhere or ending.jobs:
                # Tune takes SIGUSR1 while it starts, and then ends as if all were done.
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
        # Every second from then on, in case that Python was where it drops exceptions.
        signal.setitimer(signal.ITIMER_REAL, self.patience, 1)
        message = (
            f"{self.name}: no more trials begin; {len(self.at_work)} at work end their epoch, within "
            f"{self.patience:.0f} s; once more stops at once"
        )
        # In a thread: what was interrupted here may be a write to the same stream.
        threading.Thread(target=print, args=(message,), kwargs={"file": sys.stderr, "flush": True}).start()

    def _too_late(self, _: int, frame: FrameType | None) -> None:
        self._stop(frame)

    def _stop(self, frame: FrameType | None) -> None:
        """Raise `Stopped`, now or after the import that is under way."""
        now = time.monotonic()
        if _importing(frame):
            self._importing_until = self._importing_until or now + IMPORT_SECONDS
            if now < self._importing_until:
                self._stop_soon()
                return
        raise Stopped

    def _stop_soon(self) -> None:
        signal.signal(signal.SIGALRM, self._too_late)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)

    def _dropped(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Of an exception that cannot be raised where it is."""
        error = unraisable.exc_value
        if isinstance(error, Stopped) or _by_ray(error):
            self.asked = self.asked or signal.SIGTERM
            if _in_main_thread():
                self._stop_soon()
        else:
            sys.__unraisablehook__(unraisable)


class Ending:
    """A feed that ends when it is asked to stop."""

    def __init__(self, feed: Feed, stop: Stop) -> None:
        self.feed, self.stop = feed, stop
        self.jobs: dict[str, frozenset[str]] = {}
        """Trials that were handed out and have not ended, each with all of its job."""

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

    def tell(self, event: Event) -> bool:
        """Take an event in; after an epoch, stop its job if that was asked for.

        Raises:
            KeyboardInterrupt: that was the last one at work.
        """
        from search.trials.events import Epoch, Finished, Started

        self.stop.listen()
        enough = self.feed.tell(event)
        if isinstance(event, Finished):
            self._ended({event.key})
        elif enough:
            self._ended(self.jobs.get(event.key, frozenset()))
        elif isinstance(event, Started | Epoch):
            # Whoever is stopped here writes a checkpoint as it leaves; at the start there is nothing yet to lose.
            self.stop.at_work.add(event.key)
            if self.stop.asked:
                self.stop.at_work -= self.jobs.get(event.key, frozenset())
                enough = True
        if self.stop.asked and not self.stop.at_work:
            raise Stopped
        return enough

    def _ended(self, keys: frozenset[str] | set[str]) -> None:
        self.stop.at_work -= keys
        for key in keys:
            self.jobs.pop(key, None)


def _by_ray(error: BaseException | None) -> bool:
    """Whether it comes from the handler that Ray has while it starts, which exits with the number of SIGTERM."""
    return isinstance(error, SystemExit) and error.code == signal.SIGTERM


def _importing(frame: FrameType | None) -> bool:
    """Whether an import is under way where a signal came."""
    while frame:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
