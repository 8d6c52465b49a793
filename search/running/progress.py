"""The progress of a run, on stderr: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from search.running.screen import Screen, Stderr
from search.trials.events import Epoch, Event, Finished, Notice, Started

MIN_SILENCE_SECONDS = 60.0
"""A trial that has been silent for less time than this is never reported as silent."""

SILENCE_FACTOR = 10
"""A trial is silent if it has reported nothing for this many times the longest pause so far."""


class Progress:
    """Counts the events of `total` trials and shows how far they are. Use it as a context manager.

    It writes in a thread of its own, so a terminal that hangs or was closed does not affect trials.
    """

    def __init__(
        self,
        *,
        total: int,
        already: int,
        steps: int,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`already` trials of `total` are finished in the store. A trial takes `steps` optimiser steps, or as many as
        `lengths` has for it."""
        self.total, self.already, self.steps, self.clock = total, already, steps, clock
        self.console = console or Stderr()
        self.screen = Screen(self.report_silent_trials)
        self.began = clock()
        self.names: dict[str, str] = {}
        """Names of trials for people, by key. A trial without a name is shown by its key."""
        self.lengths: dict[str, int] = {}
        """The number of optimiser steps of trials, by key, if they differ."""
        self.running: dict[str, Epoch | None] = {}
        self.together: dict[str, int] = {}
        """How many trials train together with a trial, itself included, by key."""
        self.begun: set[str] = set()
        """Trials that have started in this session."""
        # Sums, because adding up all trials at every end takes longer the more there are.
        self.done_before = 0.0
        """The trials that earlier sessions did, in parts of trials, of those that have started in this session."""
        self.parts = 0.0
        """The trials that are done of those that are running, in parts of trials."""
        self.last_heard: dict[str, float] = {}
        """When a running trial reported last, by key."""
        self.longest_pause = 0.0
        self.silent: set[str] = set()
        self.machine_lines: list[str] = []
        """Notices about machines that have been shown."""
        self.once_shown: set[str] = set()
        """Notices to be shown once that have been shown."""
        self.ended: Counter[str] = Counter()
        self.best: tuple[float, str] | None = None
        self.live = Live(console=self.console, get_renderable=self.render, refresh_per_second=4, transient=True)

    def __enter__(self) -> Progress:
        self.began = self.clock()
        self.screen.__enter__()
        if self.already:
            self.say(f"{self.already} of {self.total} trials are stored; {self.total - self.already} to do")
        if self.console.is_terminal:
            self.screen.do(self.live.start)
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.screen.do(self.live.stop)
        self.screen.__exit__()

    def say(self, line: str) -> None:
        """Print a line, from the display's thread."""
        self.screen.do(lambda: self.console.print(line, soft_wrap=True, markup=False))

    def tell(self, event: Event) -> None:
        """Receive an event, and print a line if a trial ended or has a notice."""
        self._note_time(event)
        match event:
            case Started():
                self._note_part(event.key, None)
                self.together[event.key] = event.together
                # Only at the first start in this session: a restart after a lost worker resumes this session's work.
                self.done_before += 0.0 if event.key in self.begun else self._fraction(event)
                self.begun.add(event.key)
            case Epoch():
                self._note_part(event.key, event)
                self._update_best(event.validation_error, event.key)
            case Notice(host=""):
                if not event.once or event.text not in self.once_shown:
                    self.say(f"{self._name(event.key)}: {event.text}")
                self.once_shown.add(event.text)
            case Notice():
                line = f"{event.host}: {event.text}"
                if line not in self.machine_lines:
                    self.machine_lines.append(line)
                    self.say(line)
            case Finished():
                self._note_part(event.key, None)
                self.running.pop(event.key)
                self.ended[event.status] += 1
                self.say(self._line(event))

    def report_silent_trials(self) -> None:
        """Print which trials have been silent for much longer than any before, once until they report again."""
        now = self.clock()
        for key, heard in list(self.last_heard.items()):
            pause = now - heard
            if (
                self.longest_pause
                and pause > max(MIN_SILENCE_SECONDS, SILENCE_FACTOR * self.longest_pause)
                and key not in self.silent
            ):
                self.silent.add(key)
                longest = format_duration(self.longest_pause)
                self.say(
                    f"{self._name(key)}: silent for {format_duration(pause)}; the longest pause so far was {longest}"
                )

    def _note_time(self, event: Event) -> None:
        now = self.clock()
        if isinstance(event, Epoch) and event.key in self.last_heard:
            self.longest_pause = max(self.longest_pause, now - self.last_heard[event.key])
        self.last_heard[event.key] = now
        self.silent.discard(event.key)
        if isinstance(event, Finished):
            del self.last_heard[event.key]

    def add_trials(self, trials: int) -> None:
        """Add to the number of trials; a negative number makes it smaller."""
        self.total += trials

    def note(self, line: str) -> None:
        """Print a line above the display, from the caller's thread."""
        self.console.print(line, soft_wrap=True)

    def add_ended_elsewhere(self, trials: int) -> None:
        """Count trials that another driver has finished."""
        self.already += trials

    def _fraction(self, event: Started | Epoch) -> float:
        """Return which fraction of its trial an event is at."""
        return event.step / self.lengths.get(event.key, self.steps)

    def _note_part(self, key: str, epoch: Epoch | None) -> None:
        """Note the last epoch of a running trial; None if it is at its start, or has ended."""
        before, self.running[key] = self.running.get(key), epoch
        self.parts += (self._fraction(epoch) if epoch else 0.0) - (self._fraction(before) if before else 0.0)

    def _name(self, key: str) -> str:
        return self.names.get(key, key)

    def _update_best(self, error: float, key: str) -> None:
        if self.best is None or error < self.best[0]:
            self.best = (error, self._name(key))

    def _line(self, event: Finished) -> str:
        done = self.already + self.ended.total()
        what = event.reason if event.test_error is None else f"test error {event.test_error:6.2%}"
        left = self.seconds_left()
        remaining = f", {format_duration(left)} left" if left and done < self.total else ""
        others = self.together.get(event.key, 1) - 1
        group = f", together with {others} other{'s' * (others > 1)}" if others else ""
        ended = f"{self._name(event.key)}: {event.status}, {what}, {event.seconds:.0f} s{group}"
        return f"[{done}/{self.total}] {ended}{remaining}"

    def seconds_left(self) -> float | None:
        """Return the time left at this session's speed, or None before one is known. Parts of trials count."""
        ended = self.ended.total() + self.parts
        done, remaining = ended - self.done_before, self.total - self.already - ended
        return (self.clock() - self.began) / done * remaining if done > 0.01 else None

    def render(self) -> Text:
        """Return the live display: a line of counts, then one line per running trial."""
        bad = ", ".join(f"{n} {status}" for status, n in self.ended.items() if status != "complete")
        waiting = self.total - self.already - self.ended.total() - len(self.running)
        left = self.seconds_left()
        head = [
            f"{self.already + self.ended['complete']} of {self.total} complete",
            f"{len(self.running)} running",
            f"{waiting} waiting",
            *([bad] if bad else []),
            f"{format_duration(left)} left" if left is not None else "starting",
            *([f"best so far {self.best[0]:.2%} ({self.best[1]}, validation)"] if self.best else []),
        ]
        lines = [" | ".join(head)]
        for key, epoch in list(self.running.items()):
            where = "starting"
            if epoch:
                where = (
                    f"{self._fraction(epoch):4.0%}  epoch {epoch.epoch}  loss {epoch.loss:.3f}  "
                    f"validation error {epoch.validation_error:6.2%}  {epoch.images_per_second:,.0f} images/s"
                )
            lines.append(f"  {self._name(key)}: {where}")
        return Text("\n".join(lines))


def format_duration(seconds: float) -> str:
    """Return a duration as M:SS or H:MM:SS: 185 s is "3:05", 3723 s is "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
